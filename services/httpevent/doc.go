// Package httpevent maps between HTTP and the events of functions, in both directions: the payload format 2.0 of API Gateway and of
// function URLs (docs.aws.amazon.com, "Working with AWS Lambda proxy integrations for HTTP APIs" and "Invoking Lambda function URLs").
//
// It is pure: it neither reads a clock nor waits. Errors are about what a function or a client has given, and fit for the log.
package httpevent
