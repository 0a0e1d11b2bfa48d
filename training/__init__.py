"""How models/nano was made: data, tokenizer, model, training and export. Never needed to run Pagoda; see README.md."""
