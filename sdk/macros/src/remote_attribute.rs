//! `#[cloud::remote]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Error, Expr, ExprLit, ItemFn, Lit, Meta, Result, Token, parse::Parser, parse2, punctuated::Punctuated,
};

#[derive(Default)]
struct Options {
    name: Option<String>,
    timeout_millis: Option<u64>,
    retries: Option<u32>,
}

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = parse2(item)?;
    let options = options(attribute)?;
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &signature.generics,
            "`#[cloud::remote]` names one function, and a generic one is many; leave the attribute off: \
             `cloud::map(function::<Concrete>, ..)` works without it",
        ));
    }
    if !(1..=2).contains(&signature.inputs.len()) {
        return Err(Error::new_spanned(
            &signature.inputs,
            "a remote function takes one argument, or two for `map_with`: `(&Shared, Item)`",
        ));
    }
    let ident = &signature.ident;
    let marker = format_ident!("__CloudRemote_{ident}");
    let name = option(options.name.map(|name| quote!(#name)));
    let timeout = option(
        options.timeout_millis.map(|millis| quote!(::cloud::__private::Duration::from_millis(#millis))),
    );
    let retries = option(options.retries.map(|retries| quote!(#retries)));
    Ok(quote! {
        #function

        const _: () = {
            #[allow(non_camel_case_types)]
            struct #marker;

            impl ::cloud::__private::Remote for #marker {
                const OPTIONS: ::cloud::__private::RemoteOptions =
                    ::cloud::__private::RemoteOptions { name: #name, timeout: #timeout, retries: #retries };
                const PATH: &'static str = ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#ident));

                fn function() -> u64 {
                    ::cloud::__private::function_bits(#ident)
                }
            }

            #[used]
            static ENLIST: fn() = ::cloud::__private::enlist::<#marker>;
        };
    })
}

fn option(value: Option<TokenStream>) -> TokenStream {
    value.map_or_else(
        || quote!(::core::option::Option::None),
        |value| quote!(::core::option::Option::Some(#value)),
    )
}

fn options(attribute: TokenStream) -> Result<Options> {
    let mut options = Options::default();
    for meta in Punctuated::<Meta, Token![,]>::parse_terminated.parse2(attribute)? {
        let Meta::NameValue(pair) = &meta else {
            return Err(Error::new_spanned(
                &meta,
                "expected `name = \"..\"`, `timeout = \"90s\"` or `retries = 2`",
            ));
        };
        let Expr::Lit(ExprLit { lit, .. }) = &pair.value else {
            return Err(Error::new_spanned(&pair.value, "expected a literal"));
        };
        match (pair.path.get_ident().map(ToString::to_string).as_deref(), lit) {
            (Some("name"), Lit::Str(text)) if !text.value().is_empty() => options.name = Some(text.value()),
            (Some("name"), _) => {
                return Err(Error::new_spanned(lit, "expected a name, such as \"pricing/monte-carlo\""));
            }
            (Some("timeout"), Lit::Str(text)) => {
                let millis = millis(&text.value()).ok_or_else(|| {
                    Error::new_spanned(
                        lit,
                        "expected a positive duration, such as \"500ms\", \"90s\", \"15m\" or \"2h\"",
                    )
                })?;
                options.timeout_millis = Some(millis);
            }
            (Some("timeout"), _) => {
                return Err(Error::new_spanned(lit, "expected a duration in quotes, such as \"90s\""));
            }
            (Some("retries"), Lit::Int(number)) => options.retries = Some(number.base10_parse()?),
            (Some("retries"), _) => return Err(Error::new_spanned(lit, "expected a number")),
            _ => {
                return Err(Error::new_spanned(
                    &pair.path,
                    "unknown option, expected `name`, `timeout` or `retries`",
                ));
            }
        }
    }
    Ok(options)
}

fn millis(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|millis| *millis > 0)
}
