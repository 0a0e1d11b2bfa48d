// The header is read event by event rather than into a tree: a tree would silently keep the last of two
// tensors with one name, and two readers that keep different ones disagree about the model.

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <exception>

#include "checkpoint/safetensors.h"

namespace pagoda::checkpoint {
namespace {

namespace json = boost::json;
using Tensors = std::map<std::string, TensorInfo>;

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxRank = 8;
constexpr std::string_view kMetadata = "__metadata__";

// Receives the events of boost::json::basic_parser. The tree has a fixed form, so the state is its depth (the
// number of open objects and arrays) and the key last seen at depth 1 (tensor) and 2 (field).
class HeaderHandler {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = 4096;  // names appear in messages
  static constexpr std::size_t max_string_size = std::size_t(-1);

  HeaderHandler(std::size_t data_begin, std::size_t data_bytes, const std::string& name)
      : data_begin_(data_begin), data_bytes_(data_bytes), file_(name) {}

  const base::Status& status() const { return status_; }
  Tensors take_tensors() { return std::move(tensors_); }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code& error) { return begin_container(/*is_object=*/true, error); }
  bool on_object_end(std::size_t, json::error_code& error) {
    --depth_;
    return depth_ != 1 || in_metadata_ || finish_tensor(error);
  }
  bool on_array_begin(json::error_code& error) { return begin_container(/*is_object=*/false, error); }
  bool on_array_end(std::size_t, json::error_code&) {
    --depth_;
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& error) {
    text_.append(part.data(), part.size());
    const std::string key = std::move(text_);
    text_.clear();
    if (depth_ == 1) return begin_tensor(key, error);
    return depth_ != 2 || in_metadata_ || begin_field(key, error);
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    if (!ignoring()) text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code& error) {
    if (ignoring()) return true;
    text_.append(part.data(), part.size());
    const std::string value = std::move(text_);
    text_.clear();
    if (depth_ != 2 || field_ != kDtype) return misplaced(error);
    base::Result<tensor::DType> dtype = tensor::dtype_from_name(value);
    if (!dtype.ok()) return fail(error, "has the {}", dtype.status().message());
    tensor_.dtype = *dtype;
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code& error) {
    if (ignoring()) return true;
    if (depth_ != 3) return misplaced(error);  // shape and offsets are the only arrays that get so far
    if (value < 0) return fail(error, "has the negative number {}", value);
    std::vector<std::int64_t>& list = field_ == kShape ? tensor_.shape : offsets_;
    if (list.size() == kMaxRank)
      return fail(error, "has a shape or offsets of more than {} numbers", kMaxRank);
    list.push_back(value);
    return true;
  }
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code& error) {
    return ignoring() || fail(error, "has the number {}, which is too large", value);
  }
  bool on_double(double, json::string_view, json::error_code& error) {
    return ignoring() || fail(error, "has a number that is not a 64-bit integer");
  }
  bool on_bool(bool, json::error_code& error) { return ignoring() || misplaced(error); }
  bool on_null(json::error_code& error) { return ignoring() || misplaced(error); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  enum Field { kDtype, kShape, kOffsets, kUnknown };  // unknown ones are skipped, like the metadata

  bool ignoring() const { return in_metadata_ || (depth_ >= 2 && field_ == kUnknown); }

  template <typename... Args>
  bool fail(json::error_code& error, fmt::format_string<Args...> format, Args&&... args) {
    status_ =
        base::data_loss("{}: tensor {} {}", file_, name_, fmt::format(format, std::forward<Args>(args)...));
    error = json::error::syntax;  // any code stops the parser; the status is what counts
    return false;
  }
  bool misplaced(json::error_code& error) {
    if (depth_ > 0) return fail(error, "is not described by a dtype, a shape and data_offsets");
    status_ = base::data_loss("{}: the header is not a JSON object", file_);
    error = json::error::syntax;
    return false;
  }

  bool begin_container(bool is_object, json::error_code& error) {
    const bool expected = ignoring() || (is_object && depth_ <= 1) ||
                          (!is_object && depth_ == 2 && (field_ == kShape || field_ == kOffsets));
    if (!expected) return misplaced(error);
    ++depth_;
    return true;
  }

  bool begin_tensor(const std::string& key, json::error_code& error) {
    name_ = key;
    in_metadata_ = key == kMetadata;
    if (in_metadata_ ? has_metadata_ : tensors_.contains(key))
      return fail(error, "appears twice in the header");
    has_metadata_ = has_metadata_ || in_metadata_;
    tensor_ = {};
    offsets_.clear();
    std::fill(std::begin(seen_), std::end(seen_), false);
    field_ = kUnknown;
    return true;
  }

  bool begin_field(const std::string& key, json::error_code& error) {
    field_ = key == "dtype" ? kDtype : key == "shape" ? kShape : key == "data_offsets" ? kOffsets : kUnknown;
    if (field_ == kUnknown) return true;
    if (seen_[field_]) return fail(error, "has {} twice", key);
    seen_[field_] = true;
    return true;
  }

  // All three fields are there and agree with each other and with the size of the file.
  bool finish_tensor(json::error_code& error) {
    if (!seen_[kDtype] || !seen_[kShape] || !seen_[kOffsets] || offsets_.size() != 2) {
      depth_ = 2;
      return misplaced(error);
    }
    std::size_t bytes = tensor::dtype_bytes(tensor_.dtype);
    for (const std::int64_t extent : tensor_.shape)
      if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes))
        return fail(error, "has a shape whose product overflows");
    const std::size_t begin = static_cast<std::size_t>(offsets_[0]),
                      end = static_cast<std::size_t>(offsets_[1]);
    if (begin > end) return fail(error, "ends at {}, before it begins at {}", end, begin);
    if (end > data_bytes_)
      return fail(error, "ends at byte {} of the data, but the file has only {}", end, data_bytes_);
    if (end - begin != bytes)
      return fail(error, "has {} bytes, but its shape and dtype need {}", end - begin, bytes);
    tensor_.begin = data_begin_ + begin;
    tensor_.end = data_begin_ + end;
    tensors_.emplace(name_, std::move(tensor_));
    return true;
  }

  std::size_t data_begin_, data_bytes_;
  const std::string& file_;
  base::Status status_;
  Tensors tensors_;

  int depth_ = 0;
  std::string text_;  // parts of the key or string being read
  std::string name_;
  bool in_metadata_ = false, has_metadata_ = false;
  Field field_ = kUnknown;
  bool seen_[3] = {};
  TensorInfo tensor_;
  std::vector<std::int64_t> offsets_;
};

base::Status check_overlap(const Tensors& tensors, const std::string& name) {
  std::vector<const Tensors::value_type*> by_offset;
  for (const auto& entry : tensors)
    if (entry.second.begin < entry.second.end) by_offset.push_back(&entry);  // empty ones overlap nothing
  std::sort(by_offset.begin(), by_offset.end(),
            [](const auto* a, const auto* b) { return a->second.begin < b->second.begin; });
  for (std::size_t i = 1; i < by_offset.size(); ++i)
    if (by_offset[i]->second.begin < by_offset[i - 1]->second.end)
      return base::data_loss("{}: tensor {} overlaps tensor {}", name, by_offset[i]->first,
                             by_offset[i - 1]->first);
  return {};
}

}  // namespace

base::Result<Tensors> parse_safetensors_header(std::string_view text, std::size_t data_begin,
                                               std::size_t data_bytes, const std::string& name) {
  try {
    json::parse_options options;
    options.max_depth = kMaxDepth;
    json::basic_parser<HeaderHandler> parser(options, data_begin, data_bytes, name);
    json::error_code error;
    const std::size_t consumed = parser.write_some(/*more=*/false, text.data(), text.size(), error);
    RETURN_IF_ERROR(parser.handler().status());
    if (!error && consumed < text.size()) error = json::error::extra_data;
    if (error)
      return base::data_loss("{}: the header is not valid JSON near byte {}: {}", name, consumed,
                             error.message());
    Tensors tensors = parser.handler().take_tensors();
    RETURN_IF_ERROR(check_overlap(tensors, name));
    return tensors;
  } catch (const std::exception& failure) {  // out of memory, or a limit inside the library
    return base::data_loss("{}: the header cannot be parsed: {}", name, failure.what());
  }
}

}  // namespace pagoda::checkpoint
