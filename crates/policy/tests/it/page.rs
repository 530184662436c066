//! The examples of `docs/policy.md` are policies, each of them.

use crate::parse;

const PAGE: &str = include_str!("../../../../docs/policy.md");

#[test]
fn every_example_of_the_page_loads() {
    let examples: Vec<&str> = PAGE
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix("jsonc\n").or(block.strip_prefix("json\n")))
        .collect();
    assert_eq!(examples.len(), 4, "the page has other examples than this test knows");
    for example in examples {
        assert!(parse(example).warnings().is_empty(), "warnings for\n{example}");
    }
}
