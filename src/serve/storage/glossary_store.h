#pragma once
// Glossaries that clients have sent to be used by id. Each belongs to one owner (AccessKeys::fingerprint);
// nobody else can see, use or delete it, nor learn that it exists. A glossary does not change, so what was
// parsed is kept. Any thread.

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "serve/storage/database.h"
#include "translate/glossary.h"

namespace pagoda::serve {

struct GlossaryRecord {
  std::string id;  // a UUID
  std::string name;
  std::string from, to;         // codes of the model table
  std::int64_t created_ms = 0;  // since 1970
  std::int64_t entries = 0;
};

class GlossaryStore {
 public:
  static constexpr std::size_t kMaxGlossaries = 1000;  // of one owner

  // `database` outlives it.
  explicit GlossaryStore(Database& database) : database_(database) {}

  // Makes id, time and count. kInvalidArgument for terms that make no glossary (translate::Glossary), or for
  // one glossary too many.
  base::Result<GlossaryRecord> create(const std::string& owner, GlossaryRecord draft,
                                      std::vector<translate::Term> terms);
  // Oldest first.
  base::Result<std::vector<GlossaryRecord>> list(const std::string& owner);
  // All of these are kNotFound for an id that is none of the owner's.
  base::Result<GlossaryRecord> find(const std::string& owner, const std::string& id);
  base::Result<std::vector<translate::Term>> terms(const std::string& owner, const std::string& id);
  base::Result<std::shared_ptr<const translate::Glossary>> glossary(const std::string& owner,
                                                                    const std::string& id);
  base::Status remove(const std::string& owner, const std::string& id);

 private:
  using Parsed = std::pair<std::string, std::shared_ptr<const translate::Glossary>>;  // by id
  static constexpr std::size_t kMaxParsed = 32;

  Database& database_;
  std::mutex mutex_;
  std::deque<Parsed> parsed_;  // longest there first
};

}  // namespace pagoda::serve
