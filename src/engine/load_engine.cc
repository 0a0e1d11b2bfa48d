#include "engine/load_engine.h"

#include "checkpoint/checkpoint.h"

namespace pagoda::engine {

base::Result<std::unique_ptr<Engine>> load_engine(const std::string& directory, const LoadOptions& options,
                                                  const std::function<void(double)>& progress) {
  ASSIGN_OR_RETURN(checkpoint::Checkpoint checkpoint, checkpoint::Checkpoint::open(directory));
  ASSIGN_OR_RETURN(text::Tokenizer tokenizer, text::Tokenizer::load(directory + "/tokenizer.json"));
  ASSIGN_OR_RETURN(text::ChatTemplate chat_template, text::ChatTemplate::detect(tokenizer));
  if (tokenizer.vocab_size() > checkpoint.config().vocab_size)
    return base::data_loss("{}/tokenizer.json has ids up to {}, config.json's vocab_size is {}", directory,
                           tokenizer.vocab_size() - 1, checkpoint.config().vocab_size);
  std::unique_ptr<kernels::Ops> ops;
  if (options.reference) {
    ops = kernels::make_reference_ops();
  } else {
    ASSIGN_OR_RETURN(ops, kernels::make_ops(options));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<execute::Runner> runner,
                   execute::Runner::load(checkpoint, std::move(ops), options.engine.runner, progress));
  return std::make_unique<Engine>(std::move(runner), std::move(tokenizer), std::move(chat_template),
                                  options.engine);
}

}  // namespace pagoda::engine
