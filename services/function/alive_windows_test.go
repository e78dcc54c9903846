package function

// alive cannot be told here.
func alive(int) bool { return false }
