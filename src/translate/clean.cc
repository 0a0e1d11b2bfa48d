#include "translate/clean.h"

namespace pagoda::translate {

Edges split_edges(std::string_view text) {
  const std::string_view body = trim(text);
  const auto begin = static_cast<std::size_t>(body.data() - text.data());
  return {text.substr(0, begin), body, text.substr(begin + body.size())};
}

Cleaned clean_answer(const Task& task, std::string_view answer) {
  Cleaned cleaned;
  // A source that speaks of <target> itself, and is no formatted task, may be answered so.
  const bool wrapped = task.formatted || task.source.find("<target>") == std::string::npos;
  std::string text(wrapped ? unwrap_target(answer) : answer);
  if (task.formatted) {
    Restored restored = restore_tags(task.source, answer);
    text = std::move(restored.text);
    cleaned.tags = std::move(restored.report);
  }
  const std::string_view body = trim(text);
  if (body.empty()) return cleaned;
  const Edges edges = split_edges(task.source);
  cleaned.text.append(edges.leading).append(body).append(edges.trailing);
  return cleaned;
}

}  // namespace pagoda::translate
