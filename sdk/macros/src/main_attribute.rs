//! `#[cloud::main]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Error, ItemFn, Meta, Path, Result, Token, parse::Parser, parse2, punctuated::Punctuated,
};

pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = parse2(item)?;
    let setup = slot_setup(attribute)?;
    if function.sig.ident != "main" {
        return Err(Error::new_spanned(&function.sig.ident, "`#[cloud::main]` belongs on `fn main`"));
    }
    if !function.sig.inputs.is_empty() {
        return Err(Error::new_spanned(&function.sig.inputs, "`main` takes no arguments"));
    }
    let init = match setup {
        Some(setup) => quote!(::cloud::init_with(#setup)),
        None => quote!(::cloud::init()),
    };
    let ItemFn { attrs, vis, sig, block, .. } = &function;
    let (runtimes, kept): (Vec<_>, Vec<_>) = attrs.iter().partition(|attribute| is_runtime(attribute));
    let output = &sig.output;
    let body = if sig.asyncness.is_none() {
        // Also what `#[tokio::main]` above this attribute has left: it makes `main` plain before we see it.
        quote!(#block)
    } else if runtimes.is_empty() {
        quote!({ ::cloud::__private::block_on_main(async #block) })
    } else {
        quote!({
            #(#runtimes)*
            async fn main() #output #block
            main()
        })
    };
    Ok(quote! {
        #(#kept)*
        #vis fn main() #output {
            #init;
            #body
        }
    })
}

/// The function in `slot = function`.
fn slot_setup(attribute: TokenStream) -> Result<Option<Path>> {
    let mut setup = None;
    for meta in Punctuated::<Meta, Token![,]>::parse_terminated.parse2(attribute)? {
        match meta {
            Meta::NameValue(pair) if pair.path.is_ident("slot") => {
                setup = Some(parse2(quote::ToTokens::into_token_stream(&pair.value))?);
            }
            other => return Err(Error::new_spanned(other, "unknown option, expected `slot = function`")),
        }
    }
    Ok(setup)
}

/// `#[tokio::main]` and its kin: an attribute called `main` or `test` of some crate.
fn is_runtime(attribute: &Attribute) -> bool {
    let path = attribute.path();
    path.segments.len() > 1 && path.segments.last().is_some_and(|last| last.ident == "main")
}
