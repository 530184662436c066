//! regorus: compiled to its bytecode, which is the faster of its two ways; the machine is kept from call to call.

use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use regorus::{Rc, Value};

use crate::{Call, Case, Decide, Engine, From};

const ALLOW: &str = "data.toolgate.allow";

pub(crate) struct Rego {
    program: Arc<Program>,
    data: Value,
}

impl Rego {
    pub(crate) fn new(case: &Case) -> Self {
        let data = Value::from_json_str(&case.data).expect("the data are JSON");
        let mut engine = regorus::Engine::new();
        engine.add_policy("policy.rego".to_owned(), case.rego.clone()).expect("the policy is Rego");
        engine.add_data(data.clone()).expect("the data are an object");
        let compiled = engine.compile_with_entrypoint(&Rc::from(ALLOW)).expect("the policy compiles");
        let program = Compiler::compile_from_policy(&compiled, &[ALLOW]).expect("the policy has bytecode");
        Self { program, data }
    }

    fn machine(&self) -> RegoVM {
        let mut machine = RegoVM::new();
        machine.load_program(Arc::clone(&self.program));
        machine.set_data(self.data.clone()).expect("no rule stands where the data are");
        machine
    }
}

impl Engine for Rego {
    fn name(&self) -> &'static str {
        "regorus"
    }

    fn decide<'e>(&'e self, call: &'e Call, from: From) -> Decide<'e> {
        let text = match call.arguments {
            Some(arguments) => format!(r#"{{"tool":"{}","arguments":{arguments}}}"#, call.tool),
            None => format!(r#"{{"tool":"{}"}}"#, call.tool),
        };
        let input = move || Value::from_json_str(&text).expect("the input is JSON");
        let mut machine = self.machine();
        let mut answer = move |input| {
            machine.set_input(input);
            matches!(machine.execute(), Ok(Value::Bool(true)))
        };
        match from {
            From::Text => Box::new(move || answer(input())),
            From::Ready => {
                let input = input();
                Box::new(move || answer(input.clone()))
            }
        }
    }
}
