#include "evaluate/evaluation.h"

#include <chrono>

#include "base/check.h"

namespace pagoda::evaluate {

std::size_t Evaluation::num_lines() const {
  std::size_t lines = 0;
  for (const DirectionScore& direction : directions) lines += direction.lines.size();
  return lines;
}

double Evaluation::mean_bleu() const {
  double sum = 0;
  for (const DirectionScore& direction : directions) sum += direction.bleu;
  return sum / static_cast<double>(directions.size());
}

double Evaluation::mean_chrf() const {
  double sum = 0;
  for (const DirectionScore& direction : directions) sum += direction.chrf;
  return sum / static_cast<double>(directions.size());
}

DirectionScore score_direction(const Direction& direction, std::vector<std::string> hypotheses) {
  CHECK(hypotheses.size() == direction.lines.size());
  DirectionScore score;
  score.pair = direction.pair();
  score.tokenizer = bleu_tokenizer_for(*direction.to);
  LineCounts sum;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    score.lines.push_back(count_line(score.tokenizer, hypotheses[i], direction.lines[i].reference));
    sum += score.lines.back();
  }
  score.hypotheses = std::move(hypotheses);
  score.bleu = sum.bleu.score();
  score.chrf = sum.chrf.score();
  return score;
}

base::Result<Evaluation> evaluate_directions(engine::Engine& engine, const std::vector<Direction>& directions,
                                             const AnswerOptions& options,
                                             const std::function<void(std::size_t, std::int64_t)>& done) {
  std::vector<Question> questions;
  for (const Direction& direction : directions)
    for (const TestLine& line : direction.lines) {
      Question question;
      question.task.source = line.source;
      question.task.from = direction.from;
      question.task.to = direction.to;
      question.origin = line.origin;
      questions.push_back(std::move(question));
    }
  const auto start = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(const std::vector<Answer> answers, answer_all(engine, questions, options, done));
  Evaluation evaluation;
  evaluation.work.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::size_t next = 0;
  for (const Direction& direction : directions) {
    std::vector<std::string> hypotheses;
    std::size_t cut = 0;
    for (std::size_t i = 0; i < direction.lines.size(); ++i, ++next) {
      const Answer& answer = answers[next];
      hypotheses.push_back(answer.text);
      cut += answer.stopped ? 0 : 1;
      evaluation.work.prompt_tokens += answer.prompt_tokens;
      evaluation.work.cached_tokens += answer.cached_tokens;
      evaluation.work.generated_tokens += answer.answer_tokens;
    }
    evaluation.directions.push_back(score_direction(direction, std::move(hypotheses)));
    evaluation.directions.back().cut = cut;
  }
  return evaluation;
}

}  // namespace pagoda::evaluate
