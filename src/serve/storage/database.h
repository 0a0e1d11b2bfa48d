#pragma once
// What the server keeps between its runs (glossaries, counts of characters), in one SQLite file. Any thread:
// one call at a time, each a matter of milliseconds. Several servers may share the file.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace pagoda::serve {

class Database {
 public:
  using Value = std::variant<std::int64_t, std::string>;
  using Row = std::vector<Value>;
  using Query =
      std::function<base::Result<std::vector<Row>>(std::string_view sql, std::vector<Value> values)>;

  // The file DIRECTORY/pagoda.db; makes both if need be. kInvalidArgument where that is impossible,
  // kDataLoss for a file that is no database, a damaged one or one of a newer Pagoda.
  static base::Result<std::unique_ptr<Database>> open(const std::string& directory);
  // Forgotten with the process.
  static base::Result<std::unique_ptr<Database>> in_memory();
  ~Database();
  Database(const Database&) = delete;

  // One statement with '?' for the values; its rows.
  base::Result<std::vector<Row>> query(std::string_view sql, std::vector<Value> values = {});
  // Several statements, all or none: none when `work` fails. `work` asks by its argument alone.
  base::Status transaction(const std::function<base::Status(const Query&)>& work);

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

  Database() = default;
  static base::Result<std::unique_ptr<Database>> open_file(const std::string& path);
  base::Status prepare_file();  // checks, settings, migrations
  base::Status migrate();
  base::Result<std::vector<Row>> execute(std::string_view sql, const std::vector<Value>& values);
  base::Status failure(std::string_view what) const;

  std::string name_;  // for messages
  sqlite3* handle_ = nullptr;
  std::mutex mutex_;
  std::map<std::string, Statement, std::less<>> statements_;  // prepared, by their text
};

}  // namespace pagoda::serve
