#include "translate/prompts.h"

namespace pagoda::translate {
namespace {

bool has_chinese_side(const Task& task) {
  return task.to->is_chinese || (task.from != nullptr && task.from->is_chinese);
}

// One term a line. Line breaks or tabs inside a term would make two terms of one.
std::string one_line(std::string_view text) {
  std::string out(trim(text));
  for (char& c : out)
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  return out;
}

std::string term_lines(const Task& task, bool chinese) {
  std::string lines = chinese ? "参考下面的翻译：\n" : "Reference the following translations:\n";
  for (const Term& term : task.terms)
    lines +=
        one_line(term.source) + (chinese ? " 翻译成 " : " translates to ") + one_line(term.target) + "\n";
  return lines;
}

// Text between <source> and </source>, the same in both families. The README shows it with 中文 as the
// target.
std::string tagged_instruction(const Task& task, const std::string& source) {
  return fmt::format(
      "将以下<source></source>之间的文本翻译为{}，注意只需要输出翻译后的结果，不要额外解释，"
      "原文中的<sn></sn>标签表示标签内文本包含格式信息，需要在译文中相应的位置尽量保留该标签。"
      "输出格式为：<target>str</target>\n\n<source>{}</source>",
      task.to->chinese_name, source);
}

// No official wording has both; the context keeps the opening of its own.
std::string tagged_text(const Task& task, const std::string& source, const std::string& context) {
  std::string text = task.terms.empty() ? "" : term_lines(task, /*chinese=*/true) + "\n";
  if (!context.empty()) text += context + "\n参考上面的信息，";
  return text + tagged_instruction(task, source);
}

std::string hy_mt15_context(const Task& task, const std::string& source, const std::string& context) {
  const std::string terms = task.terms.empty() ? "" : term_lines(task, /*chinese=*/true) + "\n";
  return fmt::format("{}{}\n参考上面的信息，把下面的文本翻译成{}，注意不需要翻译上文，也不要额外解释：\n{}",
                     terms, context, task.to->chinese_name, source);
}

std::string hy_mt15_text(const Task& task, const std::string& source, const std::string& context) {
  const bool chinese = has_chinese_side(task);
  if (!context.empty()) return hy_mt15_context(task, source, context);
  if (task.terms.empty())
    return chinese
               ? fmt::format("将以下文本翻译为{}，注意只需要输出翻译后的结果，不要额外解释：\n\n{}",
                             task.to->chinese_name, source)
               : fmt::format("Translate the following segment into {}, without additional explanation.\n\n{}",
                             task.to->english_name, source);
  if (chinese)  // one line break before the source here, unlike the plain wording
    return fmt::format("{}\n将以下文本翻译为{}，注意只需要输出翻译后的结果，不要额外解释：\n{}",
                       term_lines(task, chinese), task.to->chinese_name, source);
  // HY-MT1.5 publishes the terminology wording in Chinese alone. The English one is Hy-MT2's; the bundled
  // model was trained on both.
  return fmt::format(
      "{}\nTranslate the following text into {}. Note that you must **ONLY output the translated result "
      "without any "
      "additional explanation**:\n\n{}",
      term_lines(task, chinese), task.to->english_name, source);
}

std::string hy_mt2_chinese(const Task& task, const std::string& source, const std::string& context) {
  const std::string terms = task.terms.empty() ? "" : term_lines(task, /*chinese=*/true);
  if (!context.empty())
    return fmt::format("{}【背景信息】\n{}\n\n请结合背景信息将以下文本翻译为 {}。\n\n【待翻译文本】\n{}",
                       terms.empty() ? terms : terms + "\n", context, task.to->chinese_name, source);
  return fmt::format("{}将以下文本翻译为 {}，注意**只需要输出翻译后的结果，不要额外解释**：\n\n{}", terms,
                     task.to->chinese_name, source);
}

std::string hy_mt2_english(const Task& task, const std::string& source, const std::string& context) {
  const std::string terms = task.terms.empty() ? "" : term_lines(task, /*chinese=*/false) + "\n";
  if (!context.empty())
    return fmt::format(
        "{}[Background Information]\n{}\n\nPlease translate the following text into {}, taking the provided "
        "background information into consideration.\n\n[Source Text]\n{}",
        terms, context, task.to->english_name, source);
  return fmt::format(
      "{}Translate the following text into {}. Note that you {} output the translated result without any "
      "additional "
      "explanation**:\n\n{}",
      terms, task.to->english_name, terms.empty() ? "should **only" : "must **ONLY", source);
}

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

const char* prompt_style_name(PromptStyle style) {
  return style == PromptStyle::kHyMt15 ? "hy-mt1.5" : "hy-mt2";
}

base::Result<PromptStyle> choose_prompt_style(std::string_view flag, std::string_view model_name) {
  const std::string wanted = ascii_lower(flag);
  if (wanted == "hy-mt1.5") return PromptStyle::kHyMt15;
  if (wanted == "hy-mt2") return PromptStyle::kHyMt2;
  if (!wanted.empty() && wanted != "auto")
    return base::invalid("prompt style \"{}\" is none of hy-mt1.5, hy-mt2, auto", flag);
  return ascii_lower(model_name).find("mt2") == std::string::npos ? PromptStyle::kHyMt15
                                                                  : PromptStyle::kHyMt2;
}

std::string user_text(const Task& task, PromptStyle style) {
  CHECK(task.to != nullptr);
  const std::string source(trim(task.source));
  const std::string context(trim(task.context));
  if (task.formatted) return tagged_text(task, source, context);
  if (style == PromptStyle::kHyMt15) return hy_mt15_text(task, source, context);
  return has_chinese_side(task) ? hy_mt2_chinese(task, source, context)
                                : hy_mt2_english(task, source, context);
}

std::vector<text::Message> build_messages(const Task& task, PromptStyle style) {
  return {{text::Role::kUser, user_text(task, style)}};
}

}  // namespace pagoda::translate
