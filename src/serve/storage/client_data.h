#pragma once
// What is kept for clients between requests, and where. `owner` is AccessKeys::fingerprint of the client; all
// clients of a server without keys are one. Any thread.

#include <cstdint>
#include <memory>
#include <string>

#include "serve/storage/database.h"
#include "serve/storage/glossary_store.h"

namespace pagoda::serve {

// How many characters each owner has had translated.
class CharacterCounts {
 public:
  explicit CharacterCounts(Database& database) : database_(database) {}
  base::Status add(const std::string& owner, std::int64_t characters);
  base::Result<std::int64_t> total(const std::string& owner);

 private:
  Database& database_;
};

struct ClientData {
  explicit ClientData(std::unique_ptr<Database> opened)
      : database(std::move(opened)), glossaries(*database), characters(*database) {}

  std::unique_ptr<Database> database;
  GlossaryStore glossaries;
  CharacterCounts characters;
};

}  // namespace pagoda::serve
