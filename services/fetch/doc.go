// Package fetch gets a module from an http or https address that somebody else chose, and gives up on a source that is
// not public, too large, too slow or not telling the truth.
//
// The address is judged by services/egress when it is dialled, so that each redirect and each answer of the resolver is
// judged anew. No proxy is used and the environment is not read: a proxy would resolve names out of the policy's sight.
// Nothing is kept between two fetches, neither connections nor cookies.
//
// Errors are *Error: their text is for the person who named the source, holds neither credentials nor a query (where
// signed addresses carry theirs), and says what happened; errors.Is tells the reason, errors.Unwrap the cause for a log.
package fetch
