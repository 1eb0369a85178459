package importer

// acsSteps are the steps of a case by the point that they reach; the other points have none that a case can write.
var acsSteps = map[string]func(tool string) map[string]any{
	"input":     func(string) map[string]any { return map[string]any{"user": "hello"} },
	"output":    func(string) map[string]any { return map[string]any{"assistant": "hello"} },
	"tool_call": func(tool string) map[string]any { return map[string]any{"call": tool, "args": map[string]any{}} },
}

// tests are cases that show the questions at work: nothing passes unanswered, or with a no, and a yes lets it pass.
func (w *acsWriter) tests() (cases []any) {
	if w.r.Observe || w.r.MaxBytes > 0 {
		return nil
	}
	tool := ""
	for n := range w.m.Tools {
		if tool == "" || n < tool {
			tool = n
		}
	}
	if tool != "" {
		cases = append(cases, map[string]any{"name": "a tool that the catalogue lacks",
			"steps": []any{map[string]any{"call": tool + "_unknown", "args": map[string]any{}, "want": "deny"}}})
	}
	byPoint := map[string][]string{}
	var order []string
	for _, r := range w.rules {
		point := r["on"].(string)
		if byPoint[point] == nil {
			order = append(order, point)
		}
		byPoint[point] = append(byPoint[point], r["id"].(string))
	}
	for _, point := range order {
		step := acsSteps[point]
		if step == nil || point == "tool_call" && tool == "" {
			continue
		}
		asked, only := map[string]any{}, true
		for _, r := range w.rules {
			if r["on"] != point {
				continue
			}
			q, isQuestion := r["require"].(string)
			if isQuestion = isQuestion && len(q) > len("judged.") && q[:len("judged.")] == "judged."; isQuestion {
				asked[q[len("judged."):]] = true
			}
			only = only && isQuestion
		}
		if !only {
			continue
		}
		unanswered := "deny"
		if point == "tool_call" {
			unanswered = "needs_info"
		}
		no := map[string]any{}
		for q := range asked {
			no[q] = false
		}
		for _, c := range []struct {
			name, want string
			answers    map[string]any
		}{{"nobody answers", unanswered, nil}, {"the answer is no", "deny " + byPoint[point][0], no}, {"the answer is yes", "allow", asked}} {
			s := step(tool)
			s["want"] = c.want
			one := map[string]any{"name": point + ": " + c.name, "steps": []any{s}}
			if c.answers != nil {
				one["answers"] = c.answers
			}
			cases = append(cases, one)
		}
	}
	return cases
}
