"""The training loop: Muon for the matrices, AdamW for the rest, a learning rate that ends with the time given."""

import math
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from training import shards
from training.attention import MASKED
from training.batch import Batch, make_batch
from training.checkpoint import Checkpoint, CheckpointWriter, Progress, read_checkpoint
from training.evaluate import HeldOut, held_out_loss, read_held_out, rounded_losses
from training.hf_directory import read_weights, write_model
from training.loss import Teacher
from training.model import HunyuanDense, ModelConfig
from training.muon import Muon
from training.rounding import INT4, draw_rounding, rounded_weights
from training.schedule import Schedule, TrainOptions, learning_rate_factor
from training.shards import Position, ShardReader
from training.warm_up import Way, choose_way, loss_of


class TooSlowError(RuntimeError):
    """The machine is far slower than the run was planned for."""


class Trainer:
    """One run. Order: construct (chooses how to compute), `load`, `run`, `finish`."""

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # On the CPU in FP32: there it is for tests.
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        torch.manual_seed(options.seed)
        torch.set_float32_matmul_precision("high")
        options.out.mkdir(parents=True, exist_ok=True)
        config = ModelConfig.read(options.init / "config.json") if options.init else options.config
        self.model = HunyuanDense(config, MASKED).to(self.device)
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        print(f"{parameters / 1e6:.1f} M parameters", flush=True)
        self.way: Way = choose_way(
            self.model,
            options.rows,
            options.length,
            options.smoothing,
            self.dtype,
            options.fast_enough,
            rounds=options.rounding_part > 0,
        )
        matrices = [p for name, p in self.model.named_parameters() if p.dim() == 2 and not name.startswith("embedding")]
        others = [p for name, p in self.model.named_parameters() if p.dim() == 1 or name.startswith("embedding")]
        self.muon = Muon(matrices, options.learning_rate)
        self.adam = torch.optim.AdamW(
            others,
            lr=options.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=0.0,
            fused=self.device.type == "cuda",
        )
        self.progress = Progress()
        self.average: dict[str, Tensor] | None = None
        self.teacher: dict[str, Tensor] | None = None
        if options.teacher is not None:
            taught = read_weights(options.teacher, dict(self.model.named_parameters()))
            self.teacher = {name: weight.to(self.device) for name, weight in taught.items()}
        self.writer = CheckpointWriter(self.checkpoint_path)
        self.reader: ShardReader | None = None

    @property
    def checkpoint_path(self) -> Path:
        return self.options.out / "checkpoint.pt"

    def weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.model.named_parameters()}

    def _set_weights(self, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(weights[name])

    def load(self) -> None:
        """From the checkpoint if there is one, else from `init`; then opens the data, waiting for it."""
        position = Position(self.options.first_shard)
        if self.checkpoint_path.exists():
            position = self._restore()
            print(f"goes on from step {self.progress.step}, {self.progress.fraction:.1%} done", flush=True)
        elif self.options.init is not None:
            self._set_weights(read_weights(self.options.init, dict(self.model.named_parameters())))
            print(f"starts from the weights of {self.options.init}", flush=True)
        waited = time.monotonic()
        for needed in ("meta.json", "held_out.npz", shards.shard_path(self.options.data, 0).name):
            shards.wait_for(self.options.data / needed, self.options.patience_seconds)
        print(f"waited {time.monotonic() - waited:.0f} s for data", flush=True)
        meta = shards.read_meta(self.options.data)
        if meta.length != self.options.length:
            raise ValueError(f"{self.options.data} has rows of {meta.length} tokens, expected {self.options.length}")
        self.reader = ShardReader(self.options.data, self.options.rows, position, self.options.patience_seconds)

    def _restore(self) -> Position:
        found = read_checkpoint(self.checkpoint_path, self.device)
        if found.config != self.model.config:
            raise ValueError(f"{self.checkpoint_path} is of a model of other sizes")
        self._set_weights(found.weights)
        self.average = found.average
        for optimizer, state in zip((self.muon, self.adam), found.optimizers, strict=True):
            optimizer.load_state_dict(state)
        self.progress = found.progress
        return found.position

    def _save(self) -> None:
        assert self.reader is not None
        optimizers = [self.muon.state_dict(), self.adam.state_dict()]
        self.writer.write(
            Checkpoint(
                self.model.config,
                self.weights(),
                self.average,
                optimizers,
                self.progress,
                self.reader.position,
            )
        )

    def _step(self) -> Tensor:
        assert self.reader is not None
        options, progress = self.options, self.progress
        batch = make_batch(self.reader.next_batch()).to(self.device)
        factor = learning_rate_factor(progress.fraction, progress.step, options.warm_up_steps)
        for optimizer in (self.muon, self.adam):
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * factor * progress.rate_scale
        loss = self._backward(batch)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.adam.step()
        self.muon.step()
        self.model.zero_grad(set_to_none=True)
        progress.step += 1
        progress.tokens += batch.tokens.numel()
        return loss.detach()

    def _backward(self, batch: Batch) -> Tensor:
        """Loss and gradients of a batch, by rounded weights and activations if it is time and this step's turn."""
        options, progress = self.options, self.progress
        draw = None
        if progress.fraction >= 1.0 - options.rounding_part:
            layers = self.model.config.num_hidden_layers
            draw = draw_rounding(
                layers, options.rounding_share, options.rounding_layers, progress.step, options.rounding_fine
            )
        teacher = self._ask_teacher(batch)
        activations = None if draw is None else draw.activations.to(self.device)
        with rounded_weights(self.model, draw.format_name, draw.weights) if draw else nullcontext():
            loss = loss_of(
                self.model,
                self.way.forward,
                self.way.chunk_loss,
                batch,
                options.smoothing,
                self.dtype,
                activations,
                teacher,
            )
            loss.backward()
        return loss

    def _ask_teacher(self, batch: Batch) -> Teacher | None:
        """The teacher's hidden states, by the model's own compiled forward: its weights are lent for that long."""
        if self.teacher is None:
            return None
        own = {name: weight.clone() for name, weight in self.weights().items()}
        self._set_weights(self.teacher)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            # With gradients: without them it would be compiled once more.
            hidden = self.way.forward(batch.tokens, batch.segment, batch.position, None).detach()
        self._set_weights(own)
        return Teacher(hidden.index_select(0, batch.at), self.teacher["embedding.weight"], self.options.teacher_share)

    def _update_average(self) -> None:
        """An exponential moving average of the weights over the last part of the run."""
        every = 8
        if self.progress.fraction < 1.0 - self.options.averaged_part:
            return
        if self.average is None:
            self.average = {name: weight.clone() for name, weight in self.weights().items()}
        elif self.progress.step % every == 0:
            torch._foreach_lerp_(
                list(self.average.values()),
                list(self.weights().values()),
                min(1.0, every / self.options.average_horizon),
            )

    def run(self) -> None:
        """Steps until the schedule ends. Raises TooSlowError after leaving a checkpoint."""
        schedule = Schedule(self.options, self.progress.fraction)
        started = logged = saved = time.monotonic()
        logged_tokens, first_tokens = self.progress.tokens, self.progress.tokens
        checked = self.options.min_rate <= 0
        while True:
            self.progress.fraction = schedule.fraction(self.progress.step)
            if self.progress.fraction >= 1.0:
                break
            loss = self._step()
            self._update_average()
            now = time.monotonic()
            if now - logged < self.options.log_seconds:
                continue
            value = loss.item()
            now = time.monotonic()
            rate = (self.progress.tokens - logged_tokens) / (now - logged)
            self._log(value, rate, now - started)
            logged, logged_tokens = now, self.progress.tokens
            if not math.isfinite(value):
                self._go_back()
                continue
            if not checked and now - started > 40.0:
                checked = True
                mean = (self.progress.tokens - first_tokens) / (now - started)
                if mean < self.options.min_rate:
                    self._save()
                    self.writer.finish()
                    raise TooSlowError(
                        f"{mean / 1e6:.2f} M tokens/s, planned for at least {self.options.min_rate / 1e6:.2f} M; "
                        f"the state is in {self.checkpoint_path}"
                    )
            if now - saved > self.options.checkpoint_seconds:
                self._save()
                saved = now
        self._save()
        self.writer.finish()
        print(f"done: {self.progress.step} steps, {self.progress.tokens / 1e6:.0f} M tokens", flush=True)

    def _log(self, loss: float, rate: float, seconds: float) -> None:
        assert self.reader is not None
        fraction, position = self.progress.fraction, self.reader.position
        left = seconds * (1.0 - fraction) / fraction if fraction > 0 else math.inf
        if not self.options.steps:
            left = max(0.0, 60.0 * self.options.minutes - seconds)
        passes = position.shard / self.reader.meta.shards_per_pass
        print(
            f"step {self.progress.step} loss {loss:.3f} lr {self.muon.param_groups[0]['lr']:.2e} "
            f"{rate / 1e6:.2f} M tokens/s, pass {passes:.2f}, {fraction:.1%} done, {left:.0f} s left",
            flush=True,
        )

    def _go_back(self) -> None:
        """To the last checkpoint at half the rate; data and schedule go on from where they are."""
        self.writer.finish()
        if not self.checkpoint_path.exists():
            raise RuntimeError("the loss is no number and there is no checkpoint yet; lower --learning-rate")
        fraction = self.progress.fraction
        self._restore()
        self.progress.fraction = fraction
        self.progress.rate_scale *= 0.5
        print(f"the loss is no number: back to step {self.progress.step} at half the rate", flush=True)
        self._save()

    def _print_rounded(self, name: str, held_out: HeldOut) -> dict[str, float]:
        losses = rounded_losses(self.model, held_out, self.dtype)
        print(f"  {name}, rounded: " + " ".join(f"{name} {loss:.4f}" for name, loss in losses.items()), flush=True)
        return losses

    def held_out(self) -> HeldOut:
        return read_held_out(self.options.data, self.options.held_out_limit)

    def finish(self) -> Path:
        """Scores the last weights and their moving average on the held-out slice; writes the better to out/model.

        After a run that rounds, the better is the one whose exact and mean INT4 losses together are less.
        """
        assert self.reader is not None
        self.reader.close()
        candidates = {"last": {name: weight.clone() for name, weight in self.weights().items()}}
        if self.average is not None:
            candidates["average"] = self.average
        held_out = self.held_out()
        scores = {}
        for name, weights in candidates.items():
            self._set_weights(weights)
            loss = held_out_loss(self.model, held_out, self.dtype)
            scores[name] = loss.mean
            print(f"held-out loss, {name}: {loss}", flush=True)
            if self.options.rounding_part > 0:
                losses = self._print_rounded(name, held_out)
                scores[name] += sum(losses[format_name] for format_name in INT4) / len(INT4)
        best = min(scores, key=lambda name: scores[name])
        folder = self.options.out / "model"
        write_model(folder, self.model.config, candidates[best], self.options.data / "tokenizer.json")
        print(f"written: {folder} ({best})", flush=True)
        return folder


def train(options: TrainOptions) -> Path:
    """A whole run. Returns the folder of the model."""
    trainer = Trainer(options)
    trainer.load()
    if trainer.progress.step == 0 and options.init is not None:
        held_out = trainer.held_out()
        before = held_out_loss(trainer.model, held_out, trainer.dtype)
        print(f"held-out loss, before: {before}", flush=True)
        if options.rounding_part > 0:
            trainer._print_rounded("before", held_out)
    trainer.run()
    return trainer.finish()
