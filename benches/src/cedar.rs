//! cedar-policy: the tool is the resource, the arguments are the context.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};

use crate::{Call, Case, Decide, Engine, From};

pub(crate) struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    principal: EntityUid,
    action: EntityUid,
    tool: EntityTypeName,
}

impl Cedar {
    pub(crate) fn new(case: &Case) -> Self {
        Self {
            authorizer: Authorizer::new(),
            policies: case.cedar.parse().expect("the policy is Cedar"),
            entities: Entities::from_json_str(&case.entities, None).expect("the entities are Cedar's"),
            principal: r#"Agent::"alice""#.parse().expect("a principal"),
            action: r#"Action::"call""#.parse().expect("an action"),
            tool: "Tool".parse().expect("a type"),
        }
    }

    fn request(&self, call: &Call) -> Request {
        let resource = EntityUid::from_type_name_and_id(self.tool.clone(), EntityId::new(call.tool));
        // `like` is for strings, not for names of entities: where the policy has globs, the name stands in the context too.
        let context = match call.arguments {
            Some(arguments) => Context::from_json_str(arguments, None),
            None => {
                Ok(Context::from_pairs([("tool".to_owned(), RestrictedExpression::new_string(call.tool.to_owned()))])
                    .expect("one key is not there twice"))
            }
        };
        let context = context.expect("the arguments are such as Cedar takes");
        Request::new(self.principal.clone(), self.action.clone(), resource, context, None).expect("there is no schema")
    }

    fn answer(&self, request: &Request) -> bool {
        self.authorizer.is_authorized(request, &self.policies, &self.entities).decision() == Decision::Allow
    }
}

impl Engine for Cedar {
    fn name(&self) -> &'static str {
        "cedar-policy"
    }

    fn decide<'e>(&'e self, call: &'e Call, from: From) -> Decide<'e> {
        match from {
            From::Text => Box::new(|| self.answer(&self.request(call))),
            From::Ready => {
                let request = self.request(call);
                Box::new(move || self.answer(&request))
            }
        }
    }
}
