//! Text to [`Expr`], by the grammar of the XPath 1.0 recommendation.

use super::{Axis, Comparison, Expr, Function, Operator, Start, Step, Test};

/// Nesting of parentheses, predicates and calls.
const MAX_NESTING: usize = 64;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(f64),
    Literal(String),
    /// One of the operators and brackets.
    Sign(&'static str),
}

const SIGNS: [&str; 25] = [
    "::", "//", "..", "!=", "<=", ">=", "(", ")", "[", "]", "@", ",", "/", "|", "+", "-", "=", "<", ">", "*", "$", ".",
    ":", "!", ";",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let number_follows = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if c.is_ascii_digit() || (c == '.' && number_follows) {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let number = rest[..end].parse().map_err(|_| format!("invalid number {}", &rest[..end]))?;
            out.push(Token::Number(number));
            rest = &rest[end..];
        } else if matches!(c, '"' | '\'') {
            let (literal, after) = rest[1..].split_once(c).ok_or("unclosed string literal")?;
            out.push(Token::Literal(literal.to_owned()));
            rest = after;
        } else if c.is_alphabetic() || c == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.')).unwrap_or(rest.len());
            out.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign)).ok_or_else(|| format!("unexpected {c:?}"))?;
            out.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
        rest = rest.trim_start();
    }
    Ok(out)
}

pub(super) fn parse(text: &str) -> Result<Expr, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, nesting: 0 };
    let expr = parser.or()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(format!("unexpected {token:?}")),
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    nesting: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some(Token::Sign(found)) if *found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is_sign(0, sign);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.eat(sign) { Ok(()) } else { Err(format!("expected {sign}")) }
    }

    fn or(&mut self) -> Result<Expr, String> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(format!("expression nests deeper than {MAX_NESTING} levels"));
        }
        let mut left = self.and()?;
        while self.eat_word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut left = self.equality()?;
        while self.eat_word("and") {
            left = Expr::And(Box::new(left), Box::new(self.equality()?));
        }
        Ok(left)
    }

    fn equality(&mut self) -> Result<Expr, String> {
        let mut left = self.relation()?;
        loop {
            let comparison = if self.eat("=") {
                Comparison::Eq
            } else if self.eat("!=") {
                Comparison::Ne
            } else {
                return Ok(left);
            };
            left = Expr::Compare(comparison, Box::new(left), Box::new(self.relation()?));
        }
    }

    fn relation(&mut self) -> Result<Expr, String> {
        let mut left = self.sum()?;
        loop {
            let comparison = if self.eat("<=") {
                Comparison::Le
            } else if self.eat(">=") {
                Comparison::Ge
            } else if self.eat("<") {
                Comparison::Lt
            } else if self.eat(">") {
                Comparison::Gt
            } else {
                return Ok(left);
            };
            left = Expr::Compare(comparison, Box::new(left), Box::new(self.sum()?));
        }
    }

    fn sum(&mut self) -> Result<Expr, String> {
        let mut left = self.product()?;
        loop {
            let operator = if self.eat("+") {
                Operator::Add
            } else if self.eat("-") {
                Operator::Sub
            } else {
                return Ok(left);
            };
            left = Expr::Arithmetic(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expr, String> {
        let mut left = self.unary()?;
        loop {
            // After an operand these are operators, elsewhere a star is a name test and a word a name.
            let operator = if self.eat("*") {
                Operator::Mul
            } else if self.eat_word("div") {
                Operator::Div
            } else if self.eat_word("mod") {
                Operator::Mod
            } else {
                return Ok(left);
            };
            left = Expr::Arithmetic(operator, Box::new(left), Box::new(self.unary()?));
        }
    }

    fn unary(&mut self) -> Result<Expr, String> {
        let mut negated = false;
        while self.eat("-") {
            negated = !negated;
        }
        let operand = self.union()?;
        Ok(if negated { Expr::Negate(Box::new(operand)) } else { operand })
    }

    fn union(&mut self) -> Result<Expr, String> {
        let mut left = self.path()?;
        while self.eat("|") {
            left = Expr::Union(Box::new(left), Box::new(self.path()?));
        }
        Ok(left)
    }

    fn path(&mut self) -> Result<Expr, String> {
        if self.starts_filter() {
            let primary = self.primary()?;
            let predicates = self.predicates()?;
            let filtered = if predicates.is_empty() { primary } else { Expr::Filter(Box::new(primary), predicates) };
            if !self.is_sign(0, "/") && !self.is_sign(0, "//") {
                return Ok(filtered);
            }
            let mut steps = Vec::new();
            self.more_steps(&mut steps)?;
            return Ok(Expr::Path(Start::Expr(Box::new(filtered)), steps));
        }
        let mut steps = Vec::new();
        if self.eat("//") {
            steps.push(any_depth());
            steps.push(self.step()?);
            self.more_steps(&mut steps)?;
            return Ok(Expr::Path(Start::Root, steps));
        }
        if self.eat("/") {
            if self.starts_step() {
                steps.push(self.step()?);
                self.more_steps(&mut steps)?;
            }
            return Ok(Expr::Path(Start::Root, steps));
        }
        steps.push(self.step()?);
        self.more_steps(&mut steps)?;
        Ok(Expr::Path(Start::Context, steps))
    }

    fn more_steps(&mut self, steps: &mut Vec<Step>) -> Result<(), String> {
        loop {
            if self.eat("//") {
                steps.push(any_depth());
            } else if !self.eat("/") {
                return Ok(());
            }
            steps.push(self.step()?);
        }
    }

    fn starts_step(&self) -> bool {
        match self.peek() {
            Some(Token::Name(_)) => true,
            Some(Token::Sign(sign)) => matches!(*sign, "." | ".." | "@" | "*"),
            _ => false,
        }
    }

    fn starts_filter(&self) -> bool {
        match self.peek() {
            Some(Token::Literal(_) | Token::Number(_)) => true,
            Some(Token::Sign(sign)) => matches!(*sign, "(" | "$"),
            Some(Token::Name(name)) => self.is_sign(1, "(") && !is_node_type(name),
            None => false,
        }
    }

    fn primary(&mut self) -> Result<Expr, String> {
        let token = self.peek().cloned();
        self.at += 1;
        match token {
            Some(Token::Literal(literal)) => Ok(Expr::Literal(literal)),
            Some(Token::Number(number)) => Ok(Expr::Number(number)),
            Some(Token::Sign("(")) => {
                let inner = self.or()?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(Token::Name(name)) => self.call(&name),
            _ => Err("variables are not supported".to_owned()),
        }
    }

    fn call(&mut self, name: &str) -> Result<Expr, String> {
        // Each with the least and most arguments it takes.
        let (function, least, most) = match name {
            "boolean" => (Function::Boolean, 1, 1),
            "ceiling" => (Function::Ceiling, 1, 1),
            "concat" => (Function::Concat, 2, usize::MAX),
            "contains" => (Function::Contains, 2, 2),
            "count" => (Function::Count, 1, 1),
            "ends-with" => (Function::EndsWith, 2, 2),
            "false" => (Function::False, 0, 0),
            "floor" => (Function::Floor, 1, 1),
            "last" => (Function::Last, 0, 0),
            "local-name" => (Function::LocalName, 0, 1),
            "name" => (Function::Name, 0, 1),
            "normalize-space" => (Function::NormalizeSpace, 0, 1),
            "not" => (Function::Not, 1, 1),
            "number" => (Function::Number, 0, 1),
            "position" => (Function::Position, 0, 0),
            "round" => (Function::Round, 1, 1),
            "starts-with" => (Function::StartsWith, 2, 2),
            "string" => (Function::String, 0, 1),
            "string-length" => (Function::StringLength, 0, 1),
            "substring" => (Function::Substring, 2, 3),
            "substring-after" => (Function::SubstringAfter, 2, 2),
            "substring-before" => (Function::SubstringBefore, 2, 2),
            "sum" => (Function::Sum, 1, 1),
            "translate" => (Function::Translate, 3, 3),
            "true" => (Function::True, 0, 0),
            _ => return Err(format!("function {name} is not supported")),
        };
        self.expect("(")?;
        let mut args = Vec::new();
        if !self.eat(")") {
            loop {
                args.push(self.or()?);
                if self.eat(")") {
                    break;
                }
                self.expect(",")?;
            }
        }
        if args.len() < least || args.len() > most {
            return Err(format!("wrong number of arguments of {name}"));
        }
        Ok(Expr::Call(function, args))
    }

    fn step(&mut self) -> Result<Step, String> {
        if self.eat("..") {
            return Ok(Step { axis: Axis::Parent, test: Test::Node, predicates: Vec::new() });
        }
        if self.eat(".") {
            return Ok(Step { axis: Axis::SelfNode, test: Test::Node, predicates: self.predicates()? });
        }
        let axis = if self.eat("@") {
            Axis::Attribute
        } else if self.is_sign(1, "::") {
            let Some(Token::Name(name)) = self.peek().cloned() else { return Err("expected an axis".to_owned()) };
            self.at += 2;
            axis(&name).ok_or_else(|| format!("unknown axis {name}"))?
        } else {
            Axis::Child
        };
        let test = self.test()?;
        Ok(Step { axis, test, predicates: self.predicates()? })
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.eat("*") {
            return Ok(Test::AnyName);
        }
        let Some(Token::Name(name)) = self.peek().cloned() else { return Err("expected a node test".to_owned()) };
        self.at += 1;
        if is_node_type(&name) && self.eat("(") {
            let target = match self.peek().cloned() {
                Some(Token::Literal(target)) if name == "processing-instruction" => {
                    self.at += 1;
                    Some(target)
                }
                _ => None,
            };
            self.expect(")")?;
            return Ok(match name.as_str() {
                "text" => Test::Text,
                "comment" => Test::Comment,
                "processing-instruction" => Test::Instruction(target),
                _ => Test::Node,
            });
        }
        if !self.eat(":") {
            return Ok(Test::Name(String::new(), name));
        }
        if self.eat("*") {
            return Ok(Test::AnyNameOf(name));
        }
        let Some(Token::Name(local)) = self.peek().cloned() else { return Err("expected a name after :".to_owned()) };
        self.at += 1;
        Ok(Test::Name(name, local))
    }

    fn predicates(&mut self) -> Result<Vec<Expr>, String> {
        let mut predicates = Vec::new();
        while self.eat("[") {
            predicates.push(self.or()?);
            self.expect("]")?;
        }
        Ok(predicates)
    }
}

fn any_depth() -> Step {
    Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: Vec::new() }
}

fn is_node_type(name: &str) -> bool {
    matches!(name, "text" | "node" | "comment" | "processing-instruction")
}

fn axis(name: &str) -> Option<Axis> {
    Some(match name {
        "ancestor" => Axis::Ancestor,
        "ancestor-or-self" => Axis::AncestorOrSelf,
        "attribute" => Axis::Attribute,
        "child" => Axis::Child,
        "descendant" => Axis::Descendant,
        "descendant-or-self" => Axis::DescendantOrSelf,
        "following" => Axis::Following,
        "following-sibling" => Axis::FollowingSibling,
        "parent" => Axis::Parent,
        "preceding" => Axis::Preceding,
        "preceding-sibling" => Axis::PrecedingSibling,
        "self" => Axis::SelfNode,
        _ => return None,
    })
}
