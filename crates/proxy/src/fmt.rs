//! `toolgate fmt`: policy files in the one layout. A file is replaced whole, or not at all.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::{cli, document, exit};

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Same,
    Other,
    Bad,
}

pub(crate) fn run(args: &cli::Fmt) -> anyhow::Result<ExitCode> {
    let (mut code, mut unread) = (exit::OK, false);
    for file in &args.files {
        match format(file, args.check) {
            Ok(Outcome::Same) => {}
            Ok(Outcome::Other) if args.check => code = exit::FINDINGS,
            Ok(Outcome::Other) => {}
            Ok(Outcome::Bad) => code = exit::FINDINGS,
            Err(error) => {
                unread = true;
                eprintln!("error: {error:#}");
            }
        }
    }
    Ok(if unread { exit::RUNTIME } else { code }.into())
}

fn format(path: &Path, check: bool) -> anyhow::Result<Outcome> {
    let is_stdin = path == Path::new("-");
    let file = path.display().to_string();
    let text = if is_stdin {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.with_context(|| format!("cannot read `{file}`"))?;
    let formatted = match policy::format(&file, &text) {
        Ok(formatted) => formatted,
        Err(errors) => {
            document::complain(&errors);
            return Ok(Outcome::Bad);
        }
    };
    if is_stdin && !check {
        io::stdout().write_all(formatted.as_bytes()).context("cannot write to stdout")?;
        return Ok(Outcome::Same);
    }
    if formatted == text {
        return Ok(Outcome::Same);
    }
    if check {
        writeln!(io::stdout(), "{file}: not in the layout of `toolgate fmt`")?;
    } else {
        replace(path, &formatted).with_context(|| format!("cannot write `{file}`"))?;
    }
    Ok(Outcome::Other)
}

/// By renaming, so that a gateway that watches the file never reads half of it, nor a full disk cuts it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = std::fs::File::create_new(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.set_permissions(std::fs::metadata(&path)?.permissions())?;
        file.sync_all()
    });
    let done = written.and_then(|()| std::fs::rename(&beside, &path));
    if done.is_err() {
        drop(std::fs::remove_file(&beside));
    }
    done
}
