#pragma once
// Amounts of memory and disk, read from people and written for them. Pure; any thread.

#include <cstddef>
#include <string>

#include "base/status.h"

namespace pagoda::base {

// "4GiB", "512MiB", "2e9", "1073741824": bytes. Decimal units (GB, MB) are powers of ten.
Result<std::size_t> parse_bytes(const std::string& text);
// "3.60 GiB", "512.0 MiB"
std::string format_bytes(std::size_t bytes);

}  // namespace pagoda::base
