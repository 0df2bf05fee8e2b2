#include "cc/common/row_codec.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<CpuIsa> Isas() {
  std::vector<CpuIsa> isas;
  for (CpuIsa isa : {CpuIsa::kPortable, CpuIsa::kAvx2, CpuIsa::kAvx512}) {
    if (isa <= BestCpuIsa()) isas.push_back(isa);
  }
  return isas;
}

template <typename Element>
std::vector<uint8_t> Bytes(const std::vector<Element>& elements) {
  std::vector<uint8_t> bytes(elements.size() * sizeof(Element));
  std::memcpy(bytes.data(), elements.data(), bytes.size());
  return bytes;
}

class RowCodecTest : public ::testing::TestWithParam<CpuIsa> {
 protected:
  // 20 copies of the elements, so that whole vectors and the rest both see each of them.
  template <typename Out, typename In>
  std::vector<Out> Decode(RowFormat format, ElementType out, std::vector<In> elements) {
    const size_t n = elements.size();
    std::vector<In> repeated;
    for (int i = 0; i < 20; ++i) {
      repeated.insert(repeated.end(), elements.begin(), elements.end());
    }
    const std::vector<uint8_t> row = Bytes(repeated);
    std::vector<Out> decoded(repeated.size());
    SelectDecodeRow(format, out, GetParam())(row.data(), reinterpret_cast<uint8_t*>(decoded.data()),
                                             decoded.size());
    for (size_t i = 0; i < decoded.size(); ++i) {
      EXPECT_EQ(std::memcmp(&decoded[i], &decoded[i % n], sizeof(Out)), 0) << "element " << i;
    }
    decoded.resize(n);
    return decoded;
  }
};

TEST_P(RowCodecTest, HalvesDecodeToTheFloatsTheyStandFor) {
  EXPECT_THAT((Decode<float, uint16_t>(
                  RowFormat::kFloat16, ElementType::kFloat32,
                  {0x0000, 0x3c00, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00})),
              ElementsAre(0.0f, 1.0f, -2.0f, 5.9604645e-8f, 6.0975552e-5f, 6.1035156e-5f, 65504.0f,
                          kInf, -kInf));
}

TEST_P(RowCodecTest, FloatsRoundToTheNearestHalfAndToEvenBetweenTwo) {
  EXPECT_THAT((Decode<uint16_t, float>(
                  RowFormat::kFloat32, ElementType::kFloat16,
                  {1.0f, 1.00048828125f, 1.00146484375f, 65504.0f, 65519.99f, 65520.0f, -1e30f,
                   2.98023224e-8f, 2.98023260e-8f, 8.94069672e-8f, 6.1035156e-5f, -0.0f})),
              ElementsAre(0x3c00, 0x3c00, 0x3c02, 0x7bff, 0x7bff, 0x7c00, 0xfc00, 0x0000, 0x0001,
                          0x0002, 0x0400, 0x8000));
}

TEST_P(RowCodecTest, FloatsRoundToTheNearestBfloat16AndToEvenBetweenTwo) {
  EXPECT_THAT((Decode<uint16_t, float>(RowFormat::kFloat32, ElementType::kBfloat16,
                                       {1.0f, 1.00390625f, 1.01171875f, 1.00390637f, -2.0f, kInf,
                                        3.4028235e38f, 1e-45f})),
              ElementsAre(0x3f80, 0x3f80, 0x3f82, 0x3f81, 0xc000, 0x7f80, 0x7f80, 0x0000));
}

TEST_P(RowCodecTest, Bfloat16DecodesToTheUpperHalfOfAFloat) {
  EXPECT_THAT((Decode<float, uint16_t>(RowFormat::kBfloat16, ElementType::kFloat32,
                                       {0x3f80, 0xc000, 0x7f80, 0x0001})),
              ElementsAre(1.0f, -2.0f, kInf, 9.18354962e-41f));
}

TEST_P(RowCodecTest, NanStaysNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<uint16_t> half =
      Decode<uint16_t, float>(RowFormat::kFloat32, ElementType::kFloat16, {nan, -nan});
  EXPECT_THAT(half, ElementsAre(0x7e00, 0xfe00));
  EXPECT_THAT((Decode<uint16_t, float>(RowFormat::kFloat32, ElementType::kBfloat16, {nan})),
              ElementsAre(0x7fc0));
  EXPECT_TRUE(
      std::isnan(Decode<float, uint16_t>(RowFormat::kFloat16, ElementType::kFloat32, {0x7c01})[0]));
}

TEST_P(RowCodecTest, Int8IsDividedByItsScale) {
  // 3 is not a power of two: times 1/3 would round otherwise.
  std::vector<uint8_t> row(4 + 19);
  const float scale = 3.0f;
  std::memcpy(row.data(), &scale, 4);
  for (int i = 0; i < 19; ++i) row[4 + i] = static_cast<uint8_t>(i - 9);
  std::vector<float> decoded(19);
  SelectDecodeRow(RowFormat::kInt8, ElementType::kFloat32, GetParam())(
      row.data(), reinterpret_cast<uint8_t*>(decoded.data()), 19);
  for (int i = 0; i < 19; ++i) EXPECT_EQ(decoded[i], static_cast<float>(i - 9) / 3.0f);
}

TEST_P(RowCodecTest, EveryHalfAndEveryRoundingIsThePortableOne) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::mt19937 random(1);
  std::vector<uint32_t> floats(1 << 20);
  for (uint32_t& f : floats) f = random();
  const auto decode = [](RowFormat format, ElementType out, CpuIsa isa, const auto& elements) {
    std::vector<uint8_t> decoded(elements.size() * 4);
    const std::vector<uint8_t> row = Bytes(elements);
    SelectDecodeRow(format, out, isa)(row.data(), decoded.data(), elements.size());
    return decoded;
  };
  for (ElementType out : {ElementType::kFloat32, ElementType::kFloat16, ElementType::kBfloat16}) {
    for (RowFormat format : {RowFormat::kFloat16, RowFormat::kBfloat16}) {
      EXPECT_EQ(decode(format, out, GetParam(), halves),
                decode(format, out, CpuIsa::kPortable, halves));
    }
    EXPECT_EQ(decode(RowFormat::kFloat32, out, GetParam(), floats),
              decode(RowFormat::kFloat32, out, CpuIsa::kPortable, floats));
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, RowCodecTest, ::testing::ValuesIn(Isas()),
                         [](const auto& info) { return std::string(CpuIsaName(info.param)); });

TEST(EncodeRowTest, Int8ScalesTheLargestElementTo127) {
  const std::vector<float> elements = {0.5f, -1.0f, 0.25f, 0.0f, 0.0118110236f};
  std::vector<uint8_t> row(4 + elements.size());
  SelectEncodeRow(ElementType::kFloat32, RowFormat::kInt8)(Bytes(elements).data(), row.data(), 5);
  float scale;
  std::memcpy(&scale, row.data(), 4);
  EXPECT_EQ(scale, 127.0f);
  std::vector<int8_t> quantized(5);
  std::memcpy(quantized.data(), row.data() + 4, 5);
  EXPECT_THAT(quantized, ElementsAre(64, -127, 32, 0, 2)) << "63.5 and 1.5 round to even";
}

TEST(EncodeRowTest, ARowOfZerosHasScaleOne) {
  const std::vector<float> elements(3, 0.0f);
  std::vector<uint8_t> row(7, 0xff);
  SelectEncodeRow(ElementType::kFloat32, RowFormat::kInt8)(Bytes(elements).data(), row.data(), 3);
  EXPECT_THAT(row, ElementsAre(0, 0, 0x80, 0x3f, 0, 0, 0));
}

TEST(EncodeRowTest, ARowWithAnInfinityDecodesToNan) {
  const std::vector<float> elements = {1.0f, -kInf, 2.0f};
  std::vector<uint8_t> row(7, 0xff);
  SelectEncodeRow(ElementType::kFloat32, RowFormat::kInt8)(Bytes(elements).data(), row.data(), 3);
  EXPECT_THAT(row, ElementsAre(0, 0, 0xc0, 0x7f, 0, 0, 0));
}

TEST(EncodeRowTest, HalvesAreWidenedAndNarrowed) {
  const std::vector<uint16_t> ones = {0x3c00, 0x3c00};
  std::vector<float> row(2);
  SelectEncodeRow(ElementType::kFloat16, RowFormat::kFloat32)(
      Bytes(ones).data(), reinterpret_cast<uint8_t*>(row.data()), 2);
  EXPECT_THAT(row, ElementsAre(1.0f, 1.0f));
}

TEST(RowFormatTest, AnUnknownNameListsTheKnownOnes) {
  EXPECT_EQ(ParseRowFormat("fp8").status().message(),
            "`row_format` is one of float32, float16, bfloat16, int8. Received: \"fp8\"");
}

}  // namespace
}  // namespace tf_hps
