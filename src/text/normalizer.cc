#include "text/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "base/check.h"

namespace pagoda::text {
namespace {

// ICU sorts combining marks by insertion, which is quadratic in a run of them; text made of nothing else
// would take minutes. Cutting at normalisation boundaries keeps the result exact; a block without one (4 KiB
// of marks on one letter, which no language writes) is cut anywhere.
constexpr std::size_t kBlockBytes = 4096;

const icu::Normalizer2& instance(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* result = nullptr;
  switch (form) {
    case NormalForm::kNfc:
      result = icu::Normalizer2::getNFCInstance(status);
      break;
    case NormalForm::kNfd:
      result = icu::Normalizer2::getNFDInstance(status);
      break;
    case NormalForm::kNfkc:
      result = icu::Normalizer2::getNFKCInstance(status);
      break;
    case NormalForm::kNfkd:
      result = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  CHECK(U_SUCCESS(status) && result != nullptr);
  return *result;
}

// Where to cut off a block of at most kBlockBytes.
std::size_t block_length(const icu::Normalizer2& normalizer, std::string_view text) {
  if (text.size() <= kBlockBytes) return text.size();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::size_t end = kBlockBytes;
  while (U8_IS_TRAIL(bytes[end])) --end;
  for (std::size_t cut = end; cut > 0;) {
    UChar32 character;
    U8_GET_UNSAFE(bytes, cut, character);
    if (normalizer.hasBoundaryBefore(character)) return cut;
    U8_BACK_1_UNSAFE(bytes, cut);
  }
  return end;
}

}  // namespace

const char* normal_form_name(NormalForm form) {
  switch (form) {
    case NormalForm::kNfc:
      return "NFC";
    case NormalForm::kNfd:
      return "NFD";
    case NormalForm::kNfkc:
      return "NFKC";
    case NormalForm::kNfkd:
      return "NFKD";
  }
  return "?";
}

std::string normalize(NormalForm form, std::string_view text) {
  // ASCII is the same in all forms.
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
    return std::string(text);
  const icu::Normalizer2& normalizer = instance(form);
  std::string out;
  out.reserve(text.size());
  icu::StringByteSink<std::string> sink(&out);
  while (!text.empty()) {
    const std::size_t length = block_length(normalizer, text);
    UErrorCode status = U_ZERO_ERROR;
    normalizer.normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(length)), sink,
                             nullptr, status);
    CHECK(U_SUCCESS(status));
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace pagoda::text
