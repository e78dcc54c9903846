// Package fetch fetches a module from an http or https address chosen by a client. It gives up on sources
// that are not public, too large, too slow or inconsistent.
//
// services/egress checks the address when it is dialled, so each redirect and each DNS answer is checked
// again. No proxy is used and the environment is not read: a proxy would resolve names beyond the policy's
// control. Nothing is kept between two fetches, neither connections nor cookies.
//
// Errors are *Error. Their text describes the failure to the person who named the source. It contains neither
// credentials nor a query, which in signed addresses holds credentials too. errors.Is matches the reason, and
// errors.Unwrap returns the cause for a log.
package fetch
