#include "serve/storage/glossary_store.h"

#include <algorithm>
#include <chrono>

#include "base/random.h"

namespace pagoda::serve {
namespace {

// Version 4 of RFC 4122: random.
std::string random_uuid() {
  const std::uint64_t high = base::random_u64(), low = base::random_u64();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFF,
                     0x8000 | (low >> 48 & 0x3FFF), low & 0xFFFF'FFFF'FFFFu);
}

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

const std::string& text(const Database::Value& value) { return std::get<std::string>(value); }
std::int64_t number(const Database::Value& value) { return std::get<std::int64_t>(value); }

// In the order of kColumns.
constexpr const char* kColumns = "id, name, source_lang, target_lang, created_ms, entries";
GlossaryRecord record(const Database::Row& row) {
  return {text(row[0]), text(row[1]), text(row[2]), text(row[3]), number(row[4]), number(row[5])};
}

base::Status not_found(const std::string& id) {
  return base::error(base::Code::kNotFound, "there is no glossary {}", id.substr(0, 64));
}

}  // namespace

base::Result<GlossaryRecord> GlossaryStore::create(const std::string& owner, GlossaryRecord draft,
                                                   std::vector<translate::Term> terms) {
  ASSIGN_OR_RETURN(const translate::Glossary glossary,
                   translate::Glossary::from_terms(terms, "\"" + draft.name + "\""));
  draft.id = random_uuid();
  draft.created_ms = unix_ms();
  draft.entries = static_cast<std::int64_t>(terms.size());
  RETURN_IF_ERROR(database_.transaction([&](const Database::Query& query) -> base::Status {
    ASSIGN_OR_RETURN(const auto count, query("SELECT count(*) FROM glossaries WHERE owner = ?", {owner}));
    if (number(count.at(0).at(0)) >= static_cast<std::int64_t>(kMaxGlossaries))
      return base::invalid("there are {} glossaries already, the limit", kMaxGlossaries);
    const auto made =
        query("INSERT INTO glossaries VALUES (?, ?, ?, ?, ?, ?, ?)",
              {draft.id, owner, draft.name, draft.from, draft.to, draft.created_ms, draft.entries});
    RETURN_IF_ERROR(made.status());
    std::int64_t position = 0;
    for (const translate::Term& term : terms)
      RETURN_IF_ERROR(query("INSERT INTO glossary_terms VALUES (?, ?, ?, ?)",
                            {draft.id, position++, term.source, term.target})
                          .status());
    return {};
  }));
  return draft;
}

base::Result<std::vector<GlossaryRecord>> GlossaryStore::list(const std::string& owner) {
  ASSIGN_OR_RETURN(
      const std::vector<Database::Row> rows,
      database_.query(
          fmt::format("SELECT {} FROM glossaries WHERE owner = ? ORDER BY created_ms, id", kColumns),
          {owner}));
  std::vector<GlossaryRecord> records;
  for (const Database::Row& row : rows) records.push_back(record(row));
  return records;
}

base::Result<GlossaryRecord> GlossaryStore::find(const std::string& owner, const std::string& id) {
  ASSIGN_OR_RETURN(
      const std::vector<Database::Row> rows,
      database_.query(fmt::format("SELECT {} FROM glossaries WHERE owner = ? AND id = ?", kColumns),
                      {owner, id}));
  if (rows.empty()) return not_found(id);
  return record(rows[0]);
}

base::Result<std::vector<translate::Term>> GlossaryStore::terms(const std::string& owner,
                                                                const std::string& id) {
  ASSIGN_OR_RETURN(const GlossaryRecord known, find(owner, id));
  ASSIGN_OR_RETURN(
      const std::vector<Database::Row> rows,
      database_.query("SELECT source, target FROM glossary_terms WHERE glossary_id = ? ORDER BY position",
                      {known.id}));
  std::vector<translate::Term> terms;
  for (const Database::Row& row : rows) terms.push_back({text(row[0]), text(row[1])});
  return terms;
}

base::Result<std::shared_ptr<const translate::Glossary>> GlossaryStore::glossary(const std::string& owner,
                                                                                 const std::string& id) {
  ASSIGN_OR_RETURN(const GlossaryRecord known, find(owner, id));
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(parsed_.begin(), parsed_.end(),
                                    [&](const Parsed& parsed) { return parsed.first == id; });
    if (found != parsed_.end()) return found->second;
  }
  ASSIGN_OR_RETURN(std::vector<translate::Term> list, terms(owner, id));
  ASSIGN_OR_RETURN(translate::Glossary made, translate::Glossary::from_terms(std::move(list), known.name));
  auto shared = std::make_shared<const translate::Glossary>(std::move(made));
  const std::lock_guard lock(mutex_);
  parsed_.emplace_back(id, shared);
  if (parsed_.size() > kMaxParsed) parsed_.pop_front();
  return std::shared_ptr<const translate::Glossary>(std::move(shared));
}

base::Status GlossaryStore::remove(const std::string& owner, const std::string& id) {
  ASSIGN_OR_RETURN(
      const std::vector<Database::Row> rows,
      database_.query("DELETE FROM glossaries WHERE owner = ? AND id = ? RETURNING id", {owner, id}));
  if (rows.empty()) return not_found(id);
  const std::lock_guard lock(mutex_);
  std::erase_if(parsed_, [&](const Parsed& parsed) { return parsed.first == id; });
  return {};
}

}  // namespace pagoda::serve
