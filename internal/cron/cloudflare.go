package cron

import (
	"strconv"
	"strings"
)

// FromCloudflare returns an expression of a Cloudflare cron trigger in the form of Parse. They differ in the numbers of
// weekdays: Cloudflare's are 1 for Sunday to 7 for Saturday. The result has names in their place.
func FromCloudflare(text string) (string, error) {
	words := strings.Fields(text)
	if len(words) == 5 {
		items := strings.Split(words[4], ",")
		for i, item := range items {
			var err error
			if items[i], err = weekDaysFromCloudflare(item); err != nil {
				return "", err
			}
		}
		words[4] = strings.Join(items, ",")
	}
	e, err := Parse(strings.Join(words, " "))
	if err != nil {
		return "", err
	}
	return e.String(), nil
}

// weekDaysFromCloudflare replaces the numbers of days in an item of a list. Numbers after "/" and "#" are none.
func weekDaysFromCloudflare(item string) (string, error) {
	days, rest := item, ""
	if i := strings.IndexAny(item, "/#"); i >= 0 {
		days, rest = item[:i], item[i:]
	}
	parts := strings.Split(days, "-")
	for i, part := range parts {
		number, last := strings.CutSuffix(strings.ToUpper(part), "L")
		n, err := strconv.Atoi(number)
		switch {
		case err != nil:
			continue // a name, or for Parse to refuse
		case n < 1 || n > 7:
			return "", weekDayField().refuse("is %.20q: it must be a number from 1, Sunday, to 7, or a name from SUN to SAT", part)
		}
		parts[i] = weekDayNames()[n-1]
		if last {
			parts[i] += "L"
		}
	}
	return strings.Join(parts, "-") + rest, nil
}
