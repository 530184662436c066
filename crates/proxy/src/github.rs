//! Findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.

use std::io::{self, Write as _};

use miette::Severity;

use crate::check::Checked;

pub(crate) fn annotate(checked: &[Checked]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for one in checked {
        for finding in &one.findings {
            let level = match finding.level() {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Advice => "notice",
            };
            let ((line, column), (end_line, end_column)) = (finding.position(), finding.end());
            let help = finding.help().map(|help| format!("\n{help}")).unwrap_or_default();
            let (file, title) = (property(&one.file), property(finding.code().as_str()));
            let message = data(&format!("{}{help}", finding.message()));
            writeln!(
                out,
                "::{level} file={file},line={line},col={column},endLine={end_line},endColumn={end_column},title={title}::{message}"
            )?;
        }
    }
    out.flush()
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
