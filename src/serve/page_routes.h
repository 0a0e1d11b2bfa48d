#pragma once
// The page at /, and what it is made of.

#include <string>

#include "base/status.h"
#include "serve/http/router.h"

namespace pagoda::serve {

// Adds a route for each file of the page, and "/" for index.html. With a folder the files are read from it,
// at each request, for work on the page (files that come later need a restart); without, the program's own
// are used. kInvalidArgument for a folder without index.html.
base::Status add_page_routes(Router& router, const std::string& folder);

}  // namespace pagoda::serve
