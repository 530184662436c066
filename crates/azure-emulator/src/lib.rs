//! A small Azure OpenAI fine-tuning service on a loopback port.
