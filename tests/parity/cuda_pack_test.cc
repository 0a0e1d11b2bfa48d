// Integers as files have them are rearranged by the device to the same bytes as row by row by the host.

#include "cuda_on_device.h"
#include "unit/stored_integers.h"

namespace pagoda::kernels {
namespace {

using Order = StoredIntegers::Order;

// A part of a matrix with random integers, in a file's layout and as values.
struct Part {
  std::int64_t rows;
  std::vector<std::uint8_t> values;  // [rows, in]; INT8: the bytes of the file
  std::vector<std::byte> file;

  Part(std::int64_t rows, std::int64_t in, Order order, bool int4, std::minstd_rand& random)
      : rows(rows), values(rows * in), file(rows * in / (int4 ? 2 : 1) + 1) {
    for (std::uint8_t& value : values) value = static_cast<std::uint8_t>(random() >> 8 & (int4 ? 15 : 255));
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t k = 0; k < in; ++k) put(row, k, in, order, int4);
  }
  const std::byte* data() const { return file.data() + 1; }  // tensors in files are not aligned

 private:
  void put(std::int64_t row, std::int64_t k, std::int64_t in, Order order, bool int4) {
    const std::uint8_t value = values[row * in + k];
    if (!int4) {
      file[1 + row * in + k] = static_cast<std::byte>(value);
      return;
    }
    const std::int64_t nibble = stored_nibble(order, rows, in, row, k);
    file[1 + nibble / 2] |= static_cast<std::byte>(value << nibble % 2 * 4);
  }
};

class CudaPack : public CudaTest {
 protected:
  void expect_same(Order order, WeightFormat format, const std::vector<std::int64_t>& rows, std::int64_t in,
                   std::int64_t group, bool pairs) {
    const bool int4 = format == WeightFormat::kInt4;
    std::minstd_rand random(static_cast<unsigned>(in) + static_cast<unsigned>(order));
    std::vector<Part> parts;
    WeightSource source;
    source.in_features = in;
    source.format = format;
    source.group_size = group;
    source.has_zeros = int4;
    source.pairs = pairs;
    for (const std::int64_t count : rows) {
      parts.emplace_back(count, in, order, int4, random);
      source.out_features += count;
    }
    source.set_row_quantized([&](std::int64_t row, const QuantizedRow& out) {
      const std::int64_t of_all = row;
      const Part* part = parts.data();
      for (; row >= part->rows; ++part) row -= part->rows;
      if (out.values != nullptr)
        for (std::int64_t k = 0; k < in; ++k)
          out.values[k] = static_cast<std::int8_t>(part->values[row * in + k]);
      for (std::int64_t g = 0; g < source.groups(); ++g) {
        out.scales[g] = static_cast<float>(1 + (of_all * 7 + g) % 50) / 64;
        if (int4) out.zeros[g] = static_cast<std::int8_t>((of_all + g) % 16);
      }
    });
    const Weight by_rows = cuda_->pack(source);
    for (const Part& part : parts) source.stored.push_back({order, part.rows, part.data()});
    const Weight by_device = cuda_->pack(source);
    const auto same = [&](const tensor::Buffer& a, const tensor::Buffer& b) {
      return a.size() == b.size() &&
             to_host(a.as<std::uint8_t>(), a.size()) == to_host(b.as<std::uint8_t>(), b.size());
    };
    const std::string what = testing::PrintToString(rows) + " x " + std::to_string(in) + " order " +
                             std::to_string(static_cast<int>(order)) + " group " + std::to_string(group);
    EXPECT_TRUE(same(by_rows.data, by_device.data)) << what;
    EXPECT_TRUE(same(by_rows.scales, by_device.scales)) << what;
    EXPECT_TRUE(same(by_rows.offsets, by_device.offsets)) << what;
  }
};

TEST_F(CudaPack, StoredIntegersGiveTheSameBytes) {
  for (const Order order : {Order::kInputWords, Order::kOutputWords, Order::kRows})
    for (const std::int64_t group : {128, 64, 32, 0}) {
      expect_same(order, WeightFormat::kInt4, {320, 64, 64}, 512, group, false);
      expect_same(order, WeightFormat::kInt4, {208, 208}, 384, group, true);
      expect_same(order, WeightFormat::kInt4, {1000}, 128, group, false);
      expect_same(order, WeightFormat::kInt4, {48}, 208, group, false);  // not whole chunks: by the host
    }
  expect_same(Order::kRows, WeightFormat::kInt8, {1000}, 448, 0, false);
  expect_same(Order::kRows, WeightFormat::kInt8, {96, 96}, 192, 0, true);
}

// More than the pinned memory holds at a time.
TEST_F(CudaPack, ManyTurns) {
  expect_same(Order::kInputWords, WeightFormat::kInt4, {24000}, 4096, 128, false);
  expect_same(Order::kRows, WeightFormat::kInt8, {12000}, 4096, 0, false);
}

}  // namespace
}  // namespace pagoda::kernels
