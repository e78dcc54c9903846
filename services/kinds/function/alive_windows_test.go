package function_test

// alive is not implemented on Windows.
func alive(int) bool { return false }
