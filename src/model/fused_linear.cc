#include "model/fused_linear.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

#include "base/check.h"
#include "kernels/round_to_nearest.h"

namespace pagoda::model {
namespace {

using checkpoint::StoredLinear;
using kernels::StoredIntegers;
using kernels::WeightFormat;
using Form = StoredLinear::Form;

struct Parts {
  std::vector<StoredLinear> parts;
  std::vector<std::int64_t> first_row;

  std::pair<const StoredLinear&, std::int64_t> find(std::int64_t row) const {
    std::size_t i = parts.size() - 1;
    while (row < first_row[i]) --i;
    return {parts[i], row - first_row[i]};
  }
};

// Why the integers of the parts cannot be kept; empty if they can.
std::string obstacle(const std::vector<StoredLinear>& parts) {
  const StoredLinear& first = parts.front();
  for (const StoredLinear& part : parts) {
    if (part.form() != first.form()) return "its parts are stored in different ways";
    if (part.form() != Form::kInteger) continue;
    if (part.bits() != first.bits() || part.group_size() != first.group_size())
      return "its parts have different bits or groups";
    if (part.group_of_input() != first.group_of_input()) return "its parts order their inputs differently";
    if (part.lowest_zero() < 0 || part.highest_zero() >= 1 << part.bits())
      return "a zero point lies outside the range of the values";
  }
  if (first.form() != Form::kInteger) return "";
  if (first.groups() > 1 && first.group_size() % 32 != 0)
    return fmt::format("its groups have {} inputs, not a multiple of 32", first.group_size());
  if (!first.group_of_input().empty()) {
    std::vector<std::int64_t> counts(first.groups());
    for (const std::int32_t group : first.group_of_input()) ++counts[group];
    for (std::int64_t g = 0; g < first.groups(); ++g) {
      const std::int64_t rest = first.in_features() - g * first.group_size();
      if (first.group_size() != 0 && counts[g] != std::min(first.group_size(), rest))
        return "its groups have different numbers of inputs";
    }
  }
  return "";
}

// Inputs in the order of their groups; empty if that is how they come.
std::vector<std::int32_t> order_of(const std::vector<std::int32_t>& group_of_input) {
  std::vector<std::int32_t> order(group_of_input.size());
  std::iota(order.begin(), order.end(), 0);
  if (std::is_sorted(group_of_input.begin(), group_of_input.end())) return {};
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return group_of_input[a] < group_of_input[b]; });
  return order;
}

// What the kernels call the layout of a part; none where they do not know it.
std::optional<StoredIntegers::Order> order_in_file(const StoredLinear& part) {
  using Order = StoredIntegers::Order;
  const bool int4 = part.bits() == 4;
  switch (part.layout()) {
    case StoredLinear::Layout::kGptq:
      if (int4) return Order::kInputWords;
      break;
    case StoredLinear::Layout::kAwq:
      return Order::kOutputWords;
    case StoredLinear::Layout::kPacked:
      if (int4 && part.in_features() % 8 == 0) return Order::kRows;
      break;
    case StoredLinear::Layout::kInt8:
      return Order::kRows;
    default:
      break;
  }
  return {};
}

std::vector<StoredIntegers> stored_integers(const std::vector<StoredLinear>& parts) {
  std::vector<StoredIntegers> stored;
  for (const StoredLinear& part : parts) {
    const std::optional<StoredIntegers::Order> order = order_in_file(part);
    if (!order) return {};
    stored.push_back({*order, part.out_features(), part.bytes().data()});
  }
  return stored;
}

void set_integers(const std::shared_ptr<const Parts>& parts, kernels::WeightSource* source) {
  const StoredLinear& first = parts->parts.front();
  const bool int4 = first.bits() == 4;
  source->format = int4 ? WeightFormat::kInt4 : WeightFormat::kInt8;
  source->group_size = first.groups() == 1 ? 0 : first.group_size();
  source->input_order = order_of(first.group_of_input());
  const int middle = int4 ? 8 : 128, signed_by = int4 ? 0 : 128;
  source->has_zeros = std::ranges::any_of(parts->parts, [middle](const StoredLinear& part) {
    return part.lowest_zero() != middle || part.highest_zero() != middle;
  });
  if (source->input_order.empty()) source->stored = stored_integers(parts->parts);
  source->rows_quantized = [parts, signed_by, order = source->input_order, groups = source->groups()](
                               std::int64_t row, std::int64_t count, kernels::QuantizedRow out) {
    while (count > 0) {
      const auto [part, local] = parts->find(row);
      const std::int64_t in = part.in_features(), taken = std::min(count, part.out_features() - local);
      auto* bytes = reinterpret_cast<std::uint8_t*>(out.values);
      const bool wanted = bytes != nullptr;
      std::vector<std::int32_t> zeros(taken * groups);
      part.copy_integers(local, taken, bytes, out.scales, zeros.data());
      if (wanted && !order.empty()) {
        std::vector<std::uint8_t> unordered(in);
        for (std::int64_t r = 0; r < taken; ++r) {
          std::copy_n(bytes + r * in, in, unordered.begin());
          for (std::int64_t j = 0; j < in; ++j) bytes[r * in + j] = unordered[order[j]];
        }
      }
      if (wanted && signed_by != 0)
        for (std::int64_t i = 0; i < taken * in; ++i)
          bytes[i] = static_cast<std::uint8_t>(bytes[i] - signed_by);
      for (std::int64_t g = 0; g < taken * groups; ++g)
        out.zeros[g] = static_cast<std::int8_t>(zeros[g] - signed_by);
      row += taken;
      count -= taken;
      out = {wanted ? out.values + taken * in : nullptr, out.scales + taken * groups,
             out.zeros + taken * groups};
    }
  };
}

}  // namespace

FusedLinear fuse(std::vector<StoredLinear> list, WeightFormat float_format) {
  CHECK(!list.empty());
  FusedLinear fused;
  kernels::WeightSource& source = fused.source;
  auto parts = std::make_shared<Parts>();
  source.in_features = list.front().in_features();
  for (const StoredLinear& part : list) {
    CHECK(part.in_features() == source.in_features);
    parts->first_row.push_back(source.out_features);
    source.out_features += part.out_features();
  }
  parts->parts = std::move(list);
  source.row_f32 = [parts](std::int64_t row, float* out) {
    const auto [part, local] = parts->find(row);
    part.copy_floats(local, out);
  };
  fused.widened = obstacle(parts->parts);
  const Form form = parts->parts.front().form();
  if (!fused.widened.empty()) {
    source.format = float_format == WeightFormat::kF32 ? WeightFormat::kF32 : WeightFormat::kBF16;
  } else if (form == Form::kInteger) {
    set_integers(parts, &source);
  } else if (form == Form::kFloat8) {
    source.format = WeightFormat::kFp8;
    source.row_fp8 = [parts](std::int64_t row, std::uint8_t* out, float* scale) {
      const auto [part, local] = parts->find(row);
      part.copy_float8(local, out, scale);
    };
  } else {
    source.format = float_format;
    if (float_format == WeightFormat::kInt8 || float_format == WeightFormat::kInt4) {
      source.group_size = float_format == WeightFormat::kInt4 ? kRoundedGroup : 0;
      source = kernels::rounded(std::move(source), /*symmetric=*/float_format == WeightFormat::kInt8);
    } else if (float_format == WeightFormat::kFp8) {
      source = kernels::rounded_fp8(std::move(source));
    }
  }
  return fused;
}

}  // namespace pagoda::model
