//! Readers in other languages, as processes that answer line by line. Where one is not installed, it is skipped by name.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::{LazyLock, Mutex},
    thread,
};

use crate::reading::{Numbers, Query, hex};

pub(crate) struct Helper {
    pub(crate) name: &'static str,
    pub(crate) numbers: Numbers,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// The foreign readers that this machine has, started once. They end when this process does: their input ends.
    pub(crate) fn all() -> &'static Mutex<Vec<Self>> {
        static ALL: LazyLock<Mutex<Vec<Helper>>> = LazyLock::new(|| {
            let python = Helper::start("python3", "python.py", Numbers::Digits);
            let node = Helper::start("node", "node.mjs", Numbers::Doubles);
            Mutex::new(python.into_iter().chain(node).collect())
        });
        &ALL
    }

    fn start(program: &'static str, script: &str, numbers: Numbers) -> Option<Self> {
        let script = format!("{}/tests/it/readers/{script}", env!("CARGO_MANIFEST_DIR"));
        let process = Command::new(program).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let greeted = process.ok().and_then(|mut process| {
            let (questions, answers) = (process.stdin.take()?, BufReader::new(process.stdout.take()?).lines());
            let mut helper = Self { name: program, numbers, questions, answers };
            let hello = Query { bytes: br#"{"id":"a"}"#, index: None, members: vec!["name"], ours: false };
            let answer = helper.try_ask(&[hello]).pop()?;
            answer.starts_with("\"61;-;-").then_some(helper)
        });
        if greeted.is_none() {
            // past the capture of test output: a skip must be seen
            let skipped = format!("skipped: the JSON reader of `{program}`, which is not installed\n");
            _ = std::io::stderr().write_all(skipped.as_bytes());
        }
        greeted
    }

    /// The answer to each query: what every kind of reader that this helper knows sees, by `|`.
    pub(crate) fn ask(&mut self, queries: &[Query<'_>]) -> Vec<String> {
        let answers = self.try_ask(queries);
        assert_eq!(answers.len(), queries.len(), "`{}` stopped answering", self.name);
        answers
    }

    fn try_ask(&mut self, queries: &[Query<'_>]) -> Vec<String> {
        let Self { questions, answers, .. } = self;
        thread::scope(|scope| {
            scope.spawn(move || {
                for query in queries {
                    let index = query.index.map_or("-".to_owned(), |index| index.to_string());
                    let whose = if query.ours { "ours" } else { "client" };
                    let line = format!("{}\t{index}\t{}\t{whose}\n", hex(query.bytes), query.members.join(","));
                    if questions.write_all(line.as_bytes()).is_err() {
                        return; // it has died: the answers fall short
                    }
                }
            });
            answers.by_ref().take(queries.len()).map_while(Result::ok).collect()
        })
    }
}
