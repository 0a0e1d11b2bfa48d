#include "cli/calibration_texts.h"

#include <algorithm>
#include <map>
#include <random>
#include <string_view>

#include "base/last_part.h"
#include "base/mapped_file.h"
#include "cli/answered_prompt.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "translate/detect.h"
#include "translate/prompts.h"

// The bundled sentences lie in the program as they are: the assembler reads the file.
asm(".section .rodata\n"
    ".global pagoda_calibration_sentences\n.global pagoda_calibration_sentences_end\n"
    "pagoda_calibration_sentences:\n"
    ".incbin \"" PAGODA_CALIBRATION_SENTENCES
    "\"\n"
    "pagoda_calibration_sentences_end:\n.byte 0\n.previous\n");
extern "C" const char pagoda_calibration_sentences[], pagoda_calibration_sentences_end[];

namespace pagoda::cli {
namespace {

using translate::Language;

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;
constexpr std::size_t kMaxTokens = 1024;  // of a sample; longer ones are cut

struct Sample {
  const Language* from = nullptr;
  const Language* to = nullptr;
  std::string source, answer;  // an empty answer: the prompt alone
};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

// std::shuffle may differ from library to library; calibration should not.
template <typename T>
void shuffle(std::vector<T>& list) {
  std::mt19937 random(20251127);
  for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[random() % i]);
}

base::Result<std::vector<const Language*>> wanted_languages(const std::string& codes) {
  std::vector<const Language*> wanted;
  if (codes.empty()) {
    for (const Language& language : translate::languages()) wanted.push_back(&language);
    return wanted;
  }
  for (const std::string_view code : split(codes, ',')) {
    ASSIGN_OR_RETURN(const Language* language, translate::find_language(code));
    wanted.push_back(language);
  }
  if (wanted.size() < 2)
    return base::invalid("--languages names one language, calibration needs two or more");
  return wanted;
}

// Sentences that say the same, by language, in every pair of the wanted languages: pairs change fastest, so
// that few samples cover them too.
base::Result<std::vector<Sample>> bundled_samples(const std::vector<const Language*>& wanted) {
  std::map<std::string, std::map<const Language*, std::string_view>> sentences;
  const std::string_view text(pagoda_calibration_sentences,
                              pagoda_calibration_sentences_end - pagoda_calibration_sentences);
  for (const std::string_view line : lines_of(text)) {
    const std::vector<std::string_view> fields = split(line, '\t');
    CHECK(fields.size() == 3);
    sentences[std::string(fields[0])][&translate::language(fields[1])] = fields[2];
  }
  std::vector<Sample> samples;
  std::vector<std::pair<const Language*, const Language*>> pairs;
  for (const Language* from : wanted)
    for (const Language* to : wanted)
      if (from != to) pairs.emplace_back(from, to);
  shuffle(pairs);
  for (std::size_t round = 0; round < sentences.size(); ++round)
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      auto sentence = sentences.begin();
      std::advance(sentence, (round + i) % sentences.size());
      const auto source = sentence->second.find(pairs[i].first),
                 answer = sentence->second.find(pairs[i].second);
      if (source == sentence->second.end() || answer == sentence->second.end()) continue;
      samples.push_back(
          {pairs[i].first, pairs[i].second, std::string(source->second), std::string(answer->second)});
    }
  return samples;
}

// Lines "from, to, source, target" with tabs between, or plain lines, which are asked for in one language
// after another.
base::Result<std::vector<Sample>> samples_of_file(const std::string& path,
                                                  const std::vector<const Language*>& wanted) {
  ASSIGN_OR_RETURN(const std::string text, base::read_file(path, kMaxFileBytes));
  std::vector<Sample> samples;
  std::size_t turn = 0, number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    const std::vector<std::string_view> fields = split(line, '\t');
    Sample sample;
    if (fields.size() >= 4) {
      sample.from = translate::known_language(fields[0]);
      sample.to = translate::known_language(fields[1]);
      if (sample.from == nullptr || sample.to == nullptr)
        return base::invalid("{}: line {}: \"{}\" or \"{}\" is not a known language", path, number, fields[0],
                             fields[1]);
      sample.source = fields[2];
      sample.answer = fields[3];
    } else if (fields.size() == 1) {
      sample.source = line;
      sample.from = translate::detect_language(line).language;
      sample.to = wanted[turn++ % wanted.size()];
      if (sample.to == sample.from) sample.to = wanted[turn++ % wanted.size()];
    } else {
      return base::invalid("{}: line {} has {} fields, expected 1 (a text) or 4 (from, to, source, target)",
                           path, number, fields.size());
    }
    samples.push_back(std::move(sample));
  }
  if (samples.empty()) return base::invalid("{} has no lines", path);
  shuffle(samples);
  return samples;
}

}  // namespace

base::Result<std::vector<quantize::CalibrationText>> calibration_texts(const std::string& directory,
                                                                       const CalibrationFlags& flags) {
  if (flags.samples < 1) return base::invalid("--samples is {}, it must be at least 1", flags.samples);
  ASSIGN_OR_RETURN(const text::Tokenizer tokenizer, text::Tokenizer::load(directory + "/tokenizer.json"));
  ASSIGN_OR_RETURN(const text::ChatTemplate chat, text::ChatTemplate::detect(tokenizer));
  ASSIGN_OR_RETURN(const translate::PromptStyle style,
                   translate::choose_prompt_style("auto", base::last_part(directory)));
  ASSIGN_OR_RETURN(const std::vector<const Language*> wanted, wanted_languages(flags.languages));
  std::vector<Sample> samples;
  if (flags.file.empty()) {
    ASSIGN_OR_RETURN(samples, bundled_samples(wanted));
  } else {
    ASSIGN_OR_RETURN(samples, samples_of_file(flags.file, wanted));
  }
  if (samples.size() > static_cast<std::size_t>(flags.samples)) samples.resize(flags.samples);
  std::vector<quantize::CalibrationText> texts;
  for (const Sample& sample : samples) {
    translate::Task task;
    task.source = sample.source;
    task.from = sample.from;
    task.to = sample.to;
    ASSIGN_OR_RETURN(AnsweredPrompt prompt,
                     answered_prompt(tokenizer, chat, style, task, sample.answer, kMaxTokens));
    texts.push_back({std::move(prompt.tokens), prompt.answer});
  }
  return texts;
}

void add_calibration_flags(CLI::App& command, CalibrationFlags* flags) {
  command.add_option(
      "--calibration", flags->file,
      "Texts to calibrate with: lines, or lines of from, to, source and target with tabs between; "
      "default: sentences that come with the program");
  command
      .add_option(
          "--languages", flags->languages,
          "Of the bundled sentences, and targets of plain lines: codes with commas between; default: all")
      ->capture_default_str();
  command.add_option("--samples", flags->samples, "Calibration texts used")->capture_default_str();
}

}  // namespace pagoda::cli
