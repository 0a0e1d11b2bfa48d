// pagoda translate: texts from the command line, a file or stdin, line by line, to one language.

#include <fmt/core.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

#include "base/last_part.h"
#include "cli/engine_flags.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "translate/detect.h"
#include "translate/glossary.h"
#include "translate/languages.h"
#include "translate/tags.h"
#include "translate/translator.h"

namespace pagoda::cli {
namespace {

struct Flags {
  std::vector<std::string> texts;
  std::string input, output, from = "auto", to, glossary, context_file, style = "auto", sampling = "greedy";
  std::uint64_t seed = 0;
  bool formatted = false, no_retry = false, quiet = false, list_languages = false;
};

int list_languages() {
  for (const translate::Language& language : translate::languages())
    fmt::print("{:<8} {:<22} {}\n", language.code, language.english_name, language.native_name);
  return 0;
}

// Lines without their ends; `ends` keeps "\n" or "\r\n" so that the output has the same.
struct Lines {
  std::vector<std::string> texts, ends;
};

Lines read_lines(std::istream& in) {
  Lines lines;
  for (std::string line; std::getline(in, line);) {
    std::string end = in.eof() ? "" : "\n";
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
      end.insert(0, "\r");
    }
    lines.texts.push_back(std::move(line));
    lines.ends.push_back(std::move(end));
  }
  return lines;
}

base::Result<Lines> gather(const Flags& flags) {
  Lines lines;
  if (!flags.texts.empty()) {
    if (!flags.input.empty()) return base::invalid("texts and --input cannot both be given");
    lines.texts = flags.texts;
    lines.ends.assign(flags.texts.size(), "\n");
    return lines;
  }
  if (flags.input.empty() || flags.input == "-") return read_lines(std::cin);
  std::ifstream file(flags.input, std::ios::binary);
  if (!file || std::filesystem::is_directory(flags.input))
    return base::invalid("cannot read {}", flags.input);
  return read_lines(file);
}

// One language for all lines of an input: a file rarely changes language, and a line of two words says
// little. Lines that are surely in another language keep theirs.
base::Result<std::vector<const translate::Language*>> source_languages(const Flags& flags,
                                                                       const Lines& lines) {
  if (!translate::means_auto(flags.from)) {
    ASSIGN_OR_RETURN(const translate::Language* from, translate::find_language(flags.from));
    return std::vector<const translate::Language*>(lines.texts.size(), from);
  }
  std::string sample;
  for (const std::string& text : lines.texts) {
    if (sample.size() > 16384) break;
    sample += translate::without_tags(text) + "\n";
  }
  const translate::Language* whole = translate::detect_language(sample).language;
  std::vector<const translate::Language*> languages;
  for (const std::string& text : lines.texts) {
    const translate::Detection own = translate::detect_language(translate::without_tags(text));
    languages.push_back(own.reliable && own.language != nullptr ? own.language : whole);
  }
  return languages;
}

base::Result<std::vector<translate::Task>> make_tasks(const Flags& flags, const Lines& lines) {
  ASSIGN_OR_RETURN(const translate::Language* to, translate::find_language(flags.to));
  ASSIGN_OR_RETURN(const auto from, source_languages(flags, lines));
  translate::Glossary glossary;
  if (!flags.glossary.empty()) {
    ASSIGN_OR_RETURN(glossary, translate::Glossary::load(flags.glossary));
  }
  std::string context;
  if (!flags.context_file.empty()) {
    ASSIGN_OR_RETURN(context, base::read_file(flags.context_file, std::size_t{1} << 20));
  }
  std::vector<translate::Task> tasks(lines.texts.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].source = lines.texts[i];
    tasks[i].from = from[i];
    tasks[i].to = to;
    tasks[i].context = context;
    tasks[i].terms = glossary.matches(lines.texts[i]);
    tasks[i].formatted = flags.formatted && !translate::find_tags(lines.texts[i]).empty();
  }
  return tasks;
}

base::Result<translate::TranslatorOptions> translator_options(const Flags& flags, const std::string& model,
                                                              const engine::Engine& engine) {
  translate::TranslatorOptions options;
  ASSIGN_OR_RETURN(options.style, translate::choose_prompt_style(flags.style, base::last_part(model)));
  if (flags.sampling == "official")
    options.sampling = translate::official_sampling(engine.chat_template().family());
  options.seed = flags.seed;
  options.retry = !flags.no_retry;
  return options;
}

void report_problems(const std::vector<translate::Translation>& results) {
  std::map<std::string, std::size_t> counts;
  for (std::size_t i = 0; i < results.size(); ++i)
    for (const translate::Problem problem : results[i].problems) {
      if (++counts[translate::problem_name(problem)] <= 5)
        fmt::print(stderr, "line {}: {}\n", i + 1, translate::problem_name(problem));
    }
  for (const auto& [name, count] : counts)
    if (count > 5) fmt::print(stderr, "{} lines in all: {}\n", count, name);
}

base::Status write(const Flags& flags, const Lines& lines,
                   const std::vector<translate::Translation>& results) {
  std::ofstream file;
  if (!flags.output.empty()) file.open(flags.output, std::ios::binary);
  std::ostream& out = flags.output.empty() ? std::cout : file;
  for (std::size_t i = 0; i < results.size(); ++i) {
    // Lines in = lines out: an answer of two lines becomes one.
    std::string text = results[i].text;
    for (char& c : text)
      if (c == '\n' || c == '\r') c = ' ';
    out << text << lines.ends[i];
  }
  out.flush();
  if (!out)
    return base::error(base::Code::kInternal, "cannot write {}",
                       flags.output.empty() ? "to stdout" : flags.output);
  return {};
}

base::Status run(const Flags& flags, const EngineFlags& engine_flags) {
  if (flags.to.empty()) return base::invalid("--to is required: the language to translate into");
  ASSIGN_OR_RETURN(const Lines lines, gather(flags));
  ASSIGN_OR_RETURN(const std::vector<translate::Task> tasks, make_tasks(flags, lines));
  // Known before the work, not after it; "app" leaves an old file as it is until then.
  if (!flags.output.empty() && !std::ofstream(flags.output, std::ios::app))
    return base::invalid("cannot write {}", flags.output);
  ASSIGN_OR_RETURN(const auto engine, load(engine_flags, /*quiet=*/true));
  ASSIGN_OR_RETURN(const translate::TranslatorOptions options,
                   translator_options(flags, engine_flags.model, *engine));
  const translate::Translator translator(*engine, options);

  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::int64_t generated = 0;
  Progress progress(tasks.size() > 1 && !flags.quiet ? "translating" : "");
  ASSIGN_OR_RETURN(const auto results,
                   translator.translate(tasks, [&](std::size_t done, std::int64_t tokens) {
                     generated = tokens;
                     progress.share(static_cast<double>(done) / static_cast<double>(tasks.size()),
                                    fmt::format("{}/{} lines, {:.0f} tokens/s", done, tasks.size(),
                                                static_cast<double>(tokens) / seconds()));
                   }));
  progress.clear();
  RETURN_IF_ERROR(write(flags, lines, results));
  if (!flags.quiet) report_problems(results);
  if (!flags.quiet && tasks.size() > 1)
    fmt::print(stderr, "{} lines, {} tokens in {:.1f} s = {:.0f} tokens/s\n", tasks.size(), generated,
               seconds(), static_cast<double>(generated) / seconds());
  return {};
}

}  // namespace

Verb add_translate(CLI::App& app) {
  CLI::App* command = app.add_subcommand("translate", "Translate texts, a file or stdin, line by line");
  auto flags = std::make_shared<Flags>();
  command->add_option("text", flags->texts, "Texts; without any, lines of --input or stdin");
  command->add_option("--to", flags->to, "Language to translate into: fr, French, 法语, ...");
  command->add_option("--from", flags->from, "Language of the text; auto: detected")->capture_default_str();
  command->add_option("--input", flags->input, "File to translate line by line; -: stdin");
  command->add_option("--output", flags->output, "File to write; default: stdout");
  command->add_option("--glossary", flags->glossary, "Terms to obey: source<TAB>target a line");
  command->add_option("--context-file", flags->context_file, "Text that explains the source; not translated");
  command->add_flag("--formatted", flags->formatted, "Keep <s1></s1> tags, and check that they came back");
  command->add_option("--prompt-style", flags->style, "hy-mt1.5, hy-mt2 or auto: by the model's name")
      ->capture_default_str();
  command->add_option("--sampling", flags->sampling, "greedy, or official: what the model card recommends")
      ->check(CLI::IsMember({"greedy", "official"}))
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "Of --sampling official and of retries")->capture_default_str();
  command->add_flag("--no-retry", flags->no_retry, "Do not try again where the check finds a problem");
  command->add_flag("--quiet", flags->quiet, "No progress and no remarks on stderr");
  command->add_flag("--list-languages", flags->list_languages, "List all languages and end");
  auto engine_flags = add_engine_flags(*command);
  return [=] {
    if (flags->list_languages) return list_languages();
    const base::Status status = run(*flags, *engine_flags);
    return status.ok() ? 0 : fail(status);
  };
}

}  // namespace pagoda::cli
