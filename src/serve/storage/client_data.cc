#include "serve/storage/client_data.h"

namespace pagoda::serve {

base::Status CharacterCounts::add(const std::string& owner, std::int64_t characters) {
  return database_
      .query(
          "INSERT INTO characters VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET count = count + "
          "excluded.count",
          {owner, characters})
      .status();
}

base::Result<std::int64_t> CharacterCounts::total(const std::string& owner) {
  ASSIGN_OR_RETURN(const std::vector<Database::Row> rows,
                   database_.query("SELECT count FROM characters WHERE owner = ?", {owner}));
  return rows.empty() ? 0 : std::get<std::int64_t>(rows[0][0]);
}

}  // namespace pagoda::serve
