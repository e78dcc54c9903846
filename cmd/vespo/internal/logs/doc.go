// Package logs makes the server's log on standard error: for eyes, as text for programs, or as JSON.
//
// The form covers every line that the server writes there. A Log's lines that are no records, such as announcements and
// the messages of a build, become records in JSON and stay as they are in the other forms.
package logs
