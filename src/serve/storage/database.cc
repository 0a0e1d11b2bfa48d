#include "serve/storage/database.h"

#include <sqlite3.h>

#include <filesystem>
#include <utility>

#include "base/check.h"

namespace pagoda::serve {
namespace {

// How long a statement waits for another process that writes.
constexpr int kBusyTimeoutMs = 2000;

// From an empty file to today's tables, one step a version (PRAGMA user_version). Steps are only ever added.
constexpr const char* kMigrations[] = {
    // 1: glossaries and counts. `owner` is AccessKeys::fingerprint.
    R"sql(
    CREATE TABLE glossaries (
      id TEXT PRIMARY KEY,
      owner TEXT NOT NULL,
      name TEXT NOT NULL,
      source_lang TEXT NOT NULL,
      target_lang TEXT NOT NULL,
      created_ms INTEGER NOT NULL,
      entries INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX glossaries_of_owner ON glossaries (owner, created_ms);
    CREATE TABLE glossary_terms (
      glossary_id TEXT NOT NULL REFERENCES glossaries (id) ON DELETE CASCADE,
      position INTEGER NOT NULL,
      source TEXT NOT NULL,
      target TEXT NOT NULL,
      PRIMARY KEY (glossary_id, position)
    ) WITHOUT ROWID;
    CREATE TABLE characters (
      owner TEXT PRIMARY KEY,
      count INTEGER NOT NULL
    ) WITHOUT ROWID;
    )sql",
};
constexpr std::int64_t kVersion = std::size(kMigrations);

base::Code code_of(int result) {
  switch (result & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return base::Code::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return base::Code::kFailedPrecondition;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return base::Code::kInvalidArgument;
    default:
      return base::Code::kInternal;
  }
}

}  // namespace

void Database::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

base::Result<std::unique_ptr<Database>> Database::open(const std::string& directory) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) {
    std::filesystem::create_directories(directory, error);
    if (error) return base::invalid("the data directory {} cannot be made: {}", directory, error.message());
    // Whoever can read the file knows the terms of everybody.
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  }
  return open_file((std::filesystem::path(directory) / "pagoda.db").string());
}

base::Result<std::unique_ptr<Database>> Database::in_memory() { return open_file(":memory:"); }

base::Result<std::unique_ptr<Database>> Database::open_file(const std::string& path) {
  std::unique_ptr<Database> database(new Database);
  database->name_ = path;
  // The mutex is ours: SQLite's own would be a second one.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path.c_str(), &database->handle_, flags, nullptr) != SQLITE_OK)
    return database->failure("cannot be opened");
  sqlite3_busy_timeout(database->handle_, kBusyTimeoutMs);
  sqlite3_extended_result_codes(database->handle_, 1);
  RETURN_IF_ERROR(database->prepare_file());
  return database;
}

Database::~Database() {
  statements_.clear();
  sqlite3_close_v2(handle_);
}

base::Status Database::failure(std::string_view what) const {
  // Without memory for a handle there is no message either.
  const int result = handle_ == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(handle_);
  return base::error(code_of(result), "the data file {} {}: {}", name_, what,
                     handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_));
}

base::Status Database::prepare_file() {
  // With a write-ahead log readers and the writer do not wait for each other; a power cut may lose the last
  // moment, never the file.
  for (const char* sql :
       {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA foreign_keys = ON"})
    if (const auto done = execute(sql, {}); !done.ok()) return done.status();
  ASSIGN_OR_RETURN(const std::vector<Row> check, execute("PRAGMA quick_check(1)", {}));
  if (check.size() != 1 || check[0] != Row{std::string("ok")})
    return base::data_loss("the data file {} is damaged; move it away, or restore a copy", name_);
  // Taken before the version is read: another server may be about to migrate.
  if (const auto begun = execute("BEGIN IMMEDIATE", {}); !begun.ok()) return begun.status();
  const base::Status status = migrate();
  const auto ended = execute(status.ok() ? "COMMIT" : "ROLLBACK", {});
  statements_.clear();
  return status.ok() ? ended.status() : status;
}

base::Status Database::migrate() {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, execute("PRAGMA user_version", {}));
  const std::int64_t version = std::get<std::int64_t>(rows.at(0).at(0));
  if (version > kVersion)
    return base::data_loss("the data file {} is of a newer Pagoda (version {}, this one knows {})", name_,
                           version, kVersion);
  for (std::int64_t next = version; next < kVersion; ++next)
    if (sqlite3_exec(handle_, kMigrations[next], nullptr, nullptr, nullptr) != SQLITE_OK)
      return failure("cannot be brought up to date");
  return execute(fmt::format("PRAGMA user_version = {}", kVersion), {}).status();
}

base::Result<std::vector<Database::Row>> Database::execute(std::string_view sql,
                                                           const std::vector<Value>& values) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* made = nullptr;
    if (sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &made, nullptr) != SQLITE_OK)
      return failure("cannot be used");
    found = statements_.emplace(std::string(sql), made).first;
  }
  sqlite3_stmt* statement = found->second.get();
  CHECK(sqlite3_bind_parameter_count(statement) == static_cast<int>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int place = static_cast<int>(i) + 1;
    // The texts live until the statement is reset below.
    if (const auto* text = std::get_if<std::string>(&values[i])) {
      sqlite3_bind_text64(statement, place, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    } else {
      sqlite3_bind_int64(statement, place, std::get<std::int64_t>(values[i]));
    }
  }
  std::vector<Row> rows;
  int result = SQLITE_ROW;
  while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
    Row row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      if (sqlite3_column_type(statement, i) == SQLITE_INTEGER) {
        row.emplace_back(sqlite3_column_int64(statement, i));
        continue;
      }
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      const auto bytes = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
      row.emplace_back(text == nullptr ? std::string() : std::string(text, bytes));
    }
    rows.push_back(std::move(row));
  }
  base::Status status = result == SQLITE_DONE ? base::Status() : failure("cannot be used");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  if (!status.ok()) return status;
  return rows;
}

base::Result<std::vector<Database::Row>> Database::query(std::string_view sql, std::vector<Value> values) {
  const std::lock_guard lock(mutex_);
  return execute(sql, values);
}

base::Status Database::transaction(const std::function<base::Status(const Query&)>& work) {
  const std::lock_guard lock(mutex_);
  if (const auto begun = execute("BEGIN IMMEDIATE", {}); !begun.ok()) return begun.status();
  base::Status status =
      work([this](std::string_view sql, std::vector<Value> values) { return execute(sql, values); });
  if (status.ok()) {
    const auto committed = execute("COMMIT", {});
    if (committed.ok()) return {};
    status = committed.status();
  }
  const auto undone = execute("ROLLBACK", {});  // fails where SQLite has done so itself
  static_cast<void>(undone);
  return status;
}

}  // namespace pagoda::serve
