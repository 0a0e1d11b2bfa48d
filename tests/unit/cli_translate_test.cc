// pagoda translate as a user meets it.

#include <array>
#include <string>
#include <vector>

#include "cli_program.h"

namespace pagoda {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CliTest : public CliProgramTest {
 protected:
  Outcome translate(std::vector<std::string> arguments, const std::string& in = "") const {
    arguments.insert(arguments.begin(), "translate");
    return run(arguments, in);
  }
};

TEST_F(CliTest, TextsOnTheCommandLine) {
  const Outcome one = translate({"--to", "fr", "The cat sleeps."});
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(one.out, "Le chat dort.\n");
  EXPECT_EQ(one.err, "");  // one text: no progress, no totals
  const Outcome two = translate({"The cat sleeps.", "Thank you.", "--to", "French"});
  ASSERT_EQ(lines_of(two.out).size(), 2u);
  EXPECT_EQ(lines_of(two.out)[0], "Le chat dort.");
  EXPECT_THAT(lines_of(two.out)[1], StartsWith("Merci"));
  EXPECT_THAT(two.err, HasSubstr("2 lines, "));
  EXPECT_EQ(translate({"--to", "fr", "--quiet", "The cat sleeps.", "Thank you."}).err, "");
}

TEST_F(CliTest, EveryLineKeepsItsPlaceAndItsEnd) {
  const std::string in = "The cat sleeps.\r\n\r\n\n  Thank you.  \n123 ...\n\n!!!\nThe dog eats.";
  const Outcome outcome = translate({"--to", "fr"}, in);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("Le chat dort.\r\n\r\n\n  Merci"));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("  \n123 ...\n\n!!"), HasSubstr("\nLe chien")));
  EXPECT_FALSE(outcome.out.ends_with("\n"));  // as the input
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 7);
  const Outcome again = translate({"--to", "fr", "--input", "-"}, in + "\n");
  EXPECT_EQ(again.out, outcome.out + "\n");
}

TEST_F(CliTest, ManyLinesInOrder) {
  std::string in;
  for (int i = 2; i < 42; ++i) in += "I have " + std::to_string(i * 10) + " books.\n";
  const Outcome together = translate({"--to", "fr", "--deterministic", "--max-num-seqs", "8"}, in);
  EXPECT_EQ(together.code, 0) << together.err;
  const std::vector<std::string> lines = lines_of(together.out);
  ASSERT_EQ(lines.size(), 40u);
  EXPECT_EQ(together.out, translate({"--to", "fr", "--deterministic", "--max-num-seqs", "1"}, in).out);
  int placed = 0;  // the model writes some numbers in words
  for (int i = 2; i < 42; ++i)
    placed += lines[i - 2].find(std::to_string(i * 10)) != std::string::npos ? 1 : 0;
  EXPECT_GE(placed, 20);
}

TEST_F(CliTest, NothingInNothingOut) {
  for (const char* in : {"", "\n", "\r\n\n", " \t\n"}) {
    const Outcome outcome = translate({"--to", "fr"}, in);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, in);
  }
}

TEST_F(CliTest, InvalidUtf8IsTranslatedAllTheSame) {
  const Outcome outcome = translate({"--to", "fr"}, "The \xff cat.\n\xc3\n");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
}

TEST_F(CliTest, FromDetectedOrGiven) {
  const Outcome detected = translate({"--to", "en", "Le chat dort sur la table."});
  EXPECT_THAT(detected.out, HasSubstr("cat"));
  for (const char* from : {"auto", "fr", "French", "法语"})
    EXPECT_EQ(translate({"--to", "en", "--from", from, "Le chat dort sur la table."}).out, detected.out)
        << from;
}

TEST_F(CliTest, UnknownLanguagesGetASuggestion) {
  expect_refused(translate({"--to", "Frnech", "Hello."}), {"Frnech", "French (fr)", "--list-languages"});
  expect_refused(translate({"--to", "fr", "--from", "Englsh", "Hello."}), {"Englsh", "English (en)"});
  expect_refused(translate({"--to", "klingon", "Hello."}), {"klingon", "--list-languages"});
  expect_refused(translate({"Hello."}), {"--to"});
}

TEST_F(CliTest, ListLanguages) {
  const Outcome outcome = translate({"--list-languages"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(lines_of(outcome.out).size(), 38u);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("fr "), HasSubstr("French"), HasSubstr("Français")));
}

// Coined words: the bundled model obeys those, and no other can appear by chance.
TEST_F(CliTest, GlossaryTermsAreObeyedWhereTheyMatch) {
  const std::string in = "The Velmor is small.\nThe cat sleeps.\nThe Zorblat is closed.\n";
  const std::string glossary =
      put("terms.tsv", "# coined\nVelmor\tKastrin\r\n\nZorblat\tZorblat\ncats\tBrufin\n");
  const Outcome without = translate({"--to", "fr", "--from", "en"}, in);
  const Outcome with = translate({"--to", "fr", "--from", "en", "--glossary", glossary}, in);
  EXPECT_EQ(with.code, 0) << with.err;
  EXPECT_THAT(without.out, Not(HasSubstr("Kastrin")));
  const std::vector<std::string> lines = lines_of(with.out);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], HasSubstr("Kastrin"));
  EXPECT_EQ(lines[1], lines_of(without.out)[1]);  // no term in it: the same prompt, the same answer
  EXPECT_THAT(lines[2], HasSubstr("Zorblat"));
  EXPECT_THAT(with.err, Not(HasSubstr("missing_term")));
}

TEST_F(CliTest, BadGlossaries) {
  expect_refused(translate({"--to", "fr", "--glossary", "missing.tsv", "Hello."}),
                 {"glossary", "missing.tsv"});
  expect_refused(translate({"--to", "fr", "--glossary", put("bad.tsv", "a\tb\nno tab\n"), "Hello."}),
                 {"bad.tsv", "line 2", "no tab"});
  expect_refused(translate({"--to", "fr", "--glossary", put("two.tsv", "a\tb\na\tc\n"), "Hello."}),
                 {"two.tsv", "line 2", "\"b\""});
}

TEST_F(CliTest, ContextFile) {
  const std::string context = put("context.txt", "A letter to a friend.\n");
  const Outcome outcome = translate({"--to", "fr", "--context-file", context, "The cat sleeps."});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(lines_of(outcome.out).size(), 1u);
  EXPECT_THAT(outcome.out, Not(HasSubstr("lettre")));  // the context is not translated
  expect_refused(translate({"--to", "fr", "--context-file", "missing.txt", "Hello."}), {"missing.txt"});
}

TEST_F(CliTest, FormattedKeepsTags) {
  const Outcome outcome = translate({"--to", "zh", "--formatted", "I like <s1>green</s1> tea."});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("<s1>"), HasSubstr("</s1>"), Not(HasSubstr("target"))));
  EXPECT_EQ(outcome.err, "");
  // A text without tags is an ordinary one.
  EXPECT_EQ(translate({"--to", "fr", "--formatted", "The cat sleeps."}).out, "Le chat dort.\n");
}

TEST_F(CliTest, InputAndOutputFiles) {
  const std::string in = put("in.txt", "The cat sleeps.\r\nThank you.");
  const std::string out = (directory_ / "out.txt").string();
  const Outcome outcome = translate({"--to", "fr", "--input", in, "--output", out});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(read_file(out), StartsWith("Le chat dort.\r\nMerci"));
  // Again, over what is there: not appended.
  EXPECT_EQ(translate({"--to", "fr", "--output", out, "The cat sleeps."}).code, 0);
  EXPECT_EQ(read_file(out), "Le chat dort.\n");
  // In place.
  EXPECT_EQ(translate({"--to", "fr", "--input", in, "--output", in}).code, 0);
  EXPECT_THAT(read_file(in), StartsWith("Le chat dort.\r\nMerci"));
}

TEST_F(CliTest, FilesThatCannotBeReadOrWritten) {
  expect_refused(translate({"--to", "fr", "--input", "missing.txt"}), {"missing.txt"});
  expect_refused(translate({"--to", "fr", "--input", directory_.string()}), {directory_.string()});
  expect_refused(translate({"--to", "fr", "--input", put("in.txt", "x"), "Hello."}), {"--input"});
  expect_refused(translate({"--to", "fr", "--output", "no/such/out.txt", "Hello."}), {"no/such/out.txt"});
  // Refused input leaves an old output as it is.
  const std::string out = put("out.txt", "precious");
  EXPECT_EQ(translate({"--to", "fr", "--output", out, "--model", "missing", "Hello."}).code, 2);
  EXPECT_EQ(read_file(out), "precious");
}

TEST_F(CliTest, ModelsThatAreNone) {
  expect_refused(translate({"--to", "fr", "--model", "missing", "Hello."}), {"missing"});
  expect_refused(translate({"--to", "fr", "--model", directory_.string(), "Hello."}), {"config.json"});
  expect_refused(run({"inspect", "missing"}), {"missing"});
}

TEST_F(CliTest, NumbersOutOfRange) {
  expect_refused(translate({"--to", "fr", "--max-model-len", "99999", "Hello."}),
                 {"--max-model-len", "99999", "4096"});
  expect_refused(translate({"--to", "fr", "--block-size", "12", "Hello."}), {"--block-size", "12"});
  expect_refused(translate({"--to", "fr", "--threads", "-1", "Hello."}), {"--threads", "-1"});
  expect_refused(translate({"--to", "fr", "--kv-cache-memory", "lots", "Hello."}), {"lots"});
  expect_refused(translate({"--to", "fr", "--kv-cache-memory", "0", "Hello."}), {"--kv-cache-memory"});
  expect_refused(translate({"--to", "fr", "--prompt-style", "x", "Hello."}), {"prompt style", "x"});
  std::string longer;
  for (int i = 0; i < 200; ++i) longer += "The cat sleeps. ";
  expect_refused(translate({"--to", "fr", "--max-model-len", "128", longer}), {"--max-model-len 128"});
}

TEST_F(CliTest, Inspect) {
  const Outcome outcome = run({"inspect", kNano});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* word :
       {"HunYuanDenseV1ForCausalLM", "8 layers", "tied", "hy (1.8B)", "complete       yes"})
    EXPECT_THAT(outcome.out, HasSubstr(word));
  EXPECT_THAT(run({"inspect", kNano, "--tensors"}).out, HasSubstr("model.layers.7.mlp.down_proj."));
}

TEST_F(CliTest, InspectFindsWhatIsCutOff) {
  const fs::path copy = directory_ / "copy";
  fs::create_directory(copy);
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"})
    std::ofstream(copy / name, std::ios::binary) << read_file(kNano + "/" + name);
  EXPECT_EQ(run({"inspect", copy.string()}).code, 0);
  fs::resize_file(copy / "model.safetensors", 20000000);
  const Outcome cut = run({"inspect", copy.string()});
  EXPECT_EQ(cut.code, 1);
  EXPECT_THAT(cut.err, AllOf(HasSubstr("model.safetensors"), HasSubstr("ends at byte")));
  EXPECT_EQ(translate({"--model", copy.string(), "--to", "fr", "Hello."}).code, 1);

  fs::copy_file(kNano + "/model.safetensors", copy / "model.safetensors",
                fs::copy_options::overwrite_existing);
  put("copy/tokenizer.json", read_file(kNano + "/tokenizer.json").substr(0, 1000));
  const Outcome half = run({"inspect", copy.string()});
  EXPECT_EQ(half.code, 1);
  EXPECT_THAT(half.err, HasSubstr("tokenizer.json"));
}

TEST_F(CliTest, InspectFindsWhatIsPackedAnotherWay) {
  const fs::path copy = directory_ / "copy";
  fs::create_directory(copy);
  for (const char* name : {"tokenizer.json", "model.safetensors"})
    fs::copy_file(kNano + "/" + name, copy / name);
  const std::string config = read_file(kNano + "/config.json");
  for (const auto& [written, instead, sentence] : std::vector<std::array<std::string, 3>>{
           {"\"group_size\":32", "\"group_size\":64", "expected [8, 1024], for 512 inputs"},
           {"\"bits\":4", "\"bits\":8", "expected [128, 1024], for 512 inputs"},
           {"\"pagoda-gptq\"", "\"pagoda-awq\"", "expected [512, 128], for 512 inputs"}}) {
    std::string changed = config;
    put("copy/config.json", changed.replace(changed.find(written), written.size(), instead));
    for (const Outcome& outcome :
         {run({"inspect", copy.string()}), translate({"--model", copy.string(), "--to", "fr", "Hello."})}) {
      EXPECT_EQ(outcome.code, 1);
      EXPECT_THAT(outcome.err, AllOf(HasSubstr("model.safetensors: tensor model.layers.0.self_attn.q_proj."),
                                     HasSubstr(sentence)));
    }
  }
}

TEST_F(CliTest, Quantize) {
  const std::string source = PAGODA_SOURCE_DIR "/tests/data/models/hy-1.8b-like";
  const std::string out = (directory_ / "int8").string();
  const auto to_int8 = [&](const std::string& from, const std::string& to) {
    return run({"quantize", from, to, "--method", "rtn", "--bits", "8"});
  };
  const Outcome outcome = to_int8(source, out);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("relative error 0.0"));
  EXPECT_EQ(run({"inspect", out}).code, 0);
  expect_refused(to_int8(source, out), {out, "model already"});
  expect_refused(to_int8(out, out + "2"), {out, "quantised already"});
  expect_refused(to_int8("missing", out + "2"), {"missing"});
  expect_refused(to_int8(source, put("file", "x")), {"file"});
  for (const auto& wrong : std::vector<std::vector<std::string>>{{"--bits", "5"}, {"--method", "magic"}}) {
    const Outcome refused = run({"quantize", source, out + "2", wrong[0], wrong[1]});
    EXPECT_NE(refused.code, 0);
    EXPECT_THAT(refused.err, HasSubstr(wrong[0]));
  }
  // The default, GPTQ, calibrates on text.
  expect_refused(run({"quantize", source, out + "2"}), {"tokenizer.json"});
  EXPECT_FALSE(fs::exists(out + "2"));
}

TEST_F(CliTest, Bench) {
  for (const char* test : {"nonsense", "pp", "tg0", "pp-5", "tg5x", "pp999999"})
    expect_refused(run({"bench", "--tests", test}), {std::string("\"") + test + "\"", "pp512"});
  expect_refused(run({"bench", "--batches", "0"}), {"batch 0"});
  expect_refused(run({"bench", "--random-weights", "13b"}), {"13b"});
  const Outcome outcome = run({"bench", "--tests", "pp16,tg4", "--batches", "1,2", "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const std::vector<std::string> rows = lines_of(outcome.out);
  ASSERT_EQ(rows.size(), 3u) << outcome.out;
  for (const std::string& row : rows)
    EXPECT_THAT(row, AllOf(StartsWith("{\"test\":"), HasSubstr("\"tokens_per_second\":"), EndsWith("}")));
}

TEST_F(CliTest, HelpAndVersion) {
  EXPECT_EQ(run({"--help"}).code, 0);
  EXPECT_THAT(run({"--version"}).out, StartsWith("pagoda "));
  for (const char* verb : {"translate", "bench", "quantize", "inspect", "serve"}) {
    const Outcome outcome = run({verb, "--help"});
    EXPECT_EQ(outcome.code, 0) << verb;
    EXPECT_THAT(outcome.out, HasSubstr("--help")) << verb;
    EXPECT_EQ(outcome.err, "") << verb;
  }
  EXPECT_NE(run({}).code, 0);
  EXPECT_NE(run({"nonsense"}).code, 0);
  EXPECT_NE(translate({"--no-such-flag", "Hello."}).code, 0);
}

}  // namespace
}  // namespace pagoda
