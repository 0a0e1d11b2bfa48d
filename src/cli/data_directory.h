#pragma once
// Where `pagoda serve` keeps what its clients give it.

#include <memory>
#include <string>

#include "base/status.h"
#include "serve/storage/database.h"

namespace pagoda::cli {

// $XDG_DATA_HOME/pagoda or $HOME/.local/share/pagoda; empty where neither is set.
std::string default_data_directory();
// The database in `directory`. Without one (empty) in the default directory, and in memory, with a warning,
// where that cannot be written; a directory that was asked for must do, and a damaged file always is an
// error.
base::Result<std::unique_ptr<serve::Database>> open_data(const std::string& directory);

}  // namespace pagoda::cli
