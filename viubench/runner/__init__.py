"""The run: plan, frames, engine, records."""
