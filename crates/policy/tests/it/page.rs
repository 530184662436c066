//! The examples of `docs/policy.md` are policies, each of them.

use policy::{Catalogue, Policy};

const PAGE: &str = include_str!("../../../../docs/policy.md");

pub(crate) fn examples() -> Vec<&'static str> {
    let blocks = PAGE.split("```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix("jsonc\n").or(block.strip_prefix("json\n")))
        .filter(|block| block.starts_with('{'))
        .collect()
}

#[test]
fn every_example_of_the_page_loads() {
    let examples = examples();
    assert_eq!(examples.len(), 6, "the page has other examples than this test knows");
    let catalogue = Catalogue::parse("catalog.json", r#"{ "version": "1", "tools": {} }"#).unwrap();
    for example in examples {
        let policy = Policy::parse_with("policy.json", example, &catalogue)
            .unwrap_or_else(|errors| panic!("{errors}\n{example}"));
        assert!(policy.warnings().is_empty(), "warnings for\n{example}");
    }
}
