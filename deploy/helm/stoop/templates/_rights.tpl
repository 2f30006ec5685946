{{- /*
What the playbooks take on the API server: files/rights.yaml says what each way of each action takes, as the program itself
does; here is only which ways a playbook goes. A test compares the outcome with `stoop rbac`. Whatever isn't known here fails.
*/ -}}

{{- /* The steps of a list of actions, those of onFailure among them, as JSON: {all: [{action, config}]}. */ -}}
{{- define "stoop.steps" -}}
{{- $all := list -}}
{{- range .actions -}}
{{- if kindIs "string" . -}}
{{- $all = append $all (dict "action" . "config" dict) -}}
{{- else -}}
{{- range $action, $config := omit . "onFailure" -}}
{{- $all = append $all (dict "action" $action "config" (default dict $config)) -}}
{{- end -}}
{{- if kindIs "slice" .onFailure -}}
{{- $below := include "stoop.steps" (dict "actions" .onFailure) | fromJson -}}
{{- $all = concat $all $below.all -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "all" $all) -}}
{{- end -}}

{{- /* The ways of one step, as they are called in files/rights.yaml, as JSON: {all: […]}. */ -}}
{{- define "stoop.ways" -}}
{{- $action := .action -}}
{{- $config := .config -}}
{{- $ways := list $action -}}
{{- if eq $action "delete" -}}
{{- $ways = list (ternary "delete/evict" "delete" (eq $config.evict true)) -}}
{{- if hasKey $config "minHealthy" -}}
{{- range default (list "ReplicaSet") $config.owners -}}
{{- if ne . "Standalone" -}}
{{- $ways = append $ways (printf "delete/minHealthy/%s" (trimSuffix ".apps" .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- else if eq $action "isolate" -}}
{{- if $config.denyEgressByLabel -}}
{{- $ways = list "isolate/byLabel" -}}
{{- else if eq $config.egressOnly true -}}
{{- $ways = list "isolate/egress" -}}
{{- end -}}
{{- $allow := default dict $config.allow -}}
{{- if not (or $config.denyEgressByLabel $allow.cidrs $allow.namespaces) -}}
{{- $tier := default "networkPolicy" $config.tier -}}
{{- if eq $tier "auto" -}}
{{- $ways = concat $ways (list "isolate/tier/cilium" "isolate/tier/clusterNetworkPolicy") -}}
{{- else if ne $tier "networkPolicy" -}}
{{- $ways = append $ways (printf "isolate/tier/%s" $tier) -}}
{{- end -}}
{{- end -}}
{{- if .enforced -}}
{{- $ways = append $ways "isolate/enforced" -}}
{{- end -}}
{{- if hasKey $config "expireAfter" -}}
{{- $ways = append $ways "isolate/expireAfter" -}}
{{- end -}}
{{- else if eq $action "capture" -}}
{{- $ways = list (ternary "capture/snapshot" "capture/job" (hasKey $config "snapshot")) -}}
{{- else if eq $action "scale" -}}
{{- if eq $config.autoscaled true -}}
{{- $ways = list "scale/autoscaled" -}}
{{- end -}}
{{- else if eq $action "run" -}}
{{- if not $config.template -}}
{{- fail "playbooks: what a `run` with templateFile takes on the API server can't be seen from here: write it below `template`, or give rbac.rules" -}}
{{- end -}}
{{- $ways = list (printf "run/%s" $config.template.kind) -}}
{{- end -}}
{{- toJson (dict "all" $ways) -}}
{{- end -}}

{{- /* Adds the rights of .way to .into: by namespace (empty for the whole cluster), then by resource. */ -}}
{{- define "stoop.grant" -}}
{{- range .way.rights -}}
{{- $namespace := "" -}}
{{- with .namespace -}}
{{- $namespace = get $.places . -}}
{{- if not $namespace -}}
{{- fail (printf "playbooks: the namespace of %s is not known: name it in the playbook (run.namespace) or in config.captureNamespace" .) -}}
{{- end -}}
{{- end -}}
{{- $resources := get $.into $namespace | default dict -}}
{{- $name := ternary $.name "" (eq .named true) -}}
{{- $key := printf "%s|%s|%s" .group .resource $name -}}
{{- $verbs := get $resources $key | default list -}}
{{- $_ := set $resources $key (concat $verbs .verbs | uniq | sortAlpha) -}}
{{- $_ := set $.into $namespace $resources -}}
{{- end -}}
{{- end -}}

{{- /* Adds what one playbook takes to .into. */ -}}
{{- define "stoop.grantPlaybook" -}}
{{- $ways := .ways -}}
{{- $into := .into -}}
{{- $places := .places -}}
{{- $playbook := .playbook -}}
{{- $spec := default dict $playbook.spec -}}
{{- $name := ($playbook.metadata | default dict).name -}}
{{- $mode := default "observe" $spec.mode -}}
{{- $match := default dict $spec.match -}}
{{- $target := default dict $match.target -}}
{{- $budget := default "" ($spec.limits | default dict).budget | toString -}}
{{- $contains := false -}}
{{- $needsTarget := or (not (empty $match.namespaces)) (not (empty $target)) -}}
{{- $needsOwners := or (hasKey $target "owners") (hasSuffix "per owner" $budget) -}}
{{- $needsNode := false -}}
{{- range (include "stoop.steps" (dict "actions" $spec.actions) | fromJson).all -}}
{{- $step := . -}}
{{- $here := merge (dict "run" ($step.config.namespace | default "")) $places -}}
{{- range (include "stoop.ways" (dict "action" .action "config" .config "enforced" $.enforced) | fromJson).all -}}
{{- if not (hasKey $ways .) -}}
{{- fail (printf "playbooks: %s: the chart does not know what `%s` takes on the API server: mend the playbook, or give rbac.rules" $name .) -}}
{{- end -}}
{{- $way := get $ways . -}}
{{- $contains = or $contains $way.changes -}}
{{- $needsTarget = or $needsTarget $way.target -}}
{{- if ne $mode "observe" -}}
{{- include "stoop.grant" (dict "way" $way "into" $into "places" $here) -}}
{{- end -}}
{{- end -}}
{{- range $_, $from := ternary (default dict .config.parameters) dict (eq .action "run") -}}
{{- $needsTarget = or $needsTarget (hasPrefix "target." $from) -}}
{{- end -}}
{{- $needsOwners = or $needsOwners (eq .action "scale") -}}
{{- $needsNode = or $needsNode (eq .config.hostEvents true) -}}
{{- end -}}
{{- if $needsTarget -}}
{{- include "stoop.grant" (dict "way" (get $ways "target") "into" $into) -}}
{{- if or $contains (not (empty $target.namespaceLabels)) -}}
{{- include "stoop.grant" (dict "way" (get $ways "target/namespace") "into" $into) -}}
{{- end -}}
{{- if $needsOwners -}}
{{- include "stoop.grant" (dict "way" (get $ways "target/owners") "into" $into) -}}
{{- end -}}
{{- if $needsNode -}}
{{- include "stoop.grant" (dict "way" (get $ways "target/node") "into" $into) -}}
{{- end -}}
{{- end -}}
{{- if and $contains (eq $mode "enforce") -}}
{{- include "stoop.grant" (dict "way" (get $ways "responses") "into" $into "places" $places) -}}
{{- if $budget -}}
{{- $kept := ternary "stoop-budgets" (printf "stoop-budget-%s" $name) (hasSuffix "per cluster" $budget) -}}
{{- if gt (len $kept) 253 -}}
{{- fail (printf "playbooks: %s: its name is too long for the chart to tell where its budget is kept: shorten it" $name) -}}
{{- end -}}
{{- include "stoop.grant" (dict "way" (get $ways "budget") "into" $into "places" $places "name" $kept) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The rights of all playbooks, guardrails and notifiers, as JSON: by namespace, then by group|resource|name, the verbs. */ -}}
{{- define "stoop.rights" -}}
{{- $ways := .Files.Get "files/rights.yaml" | fromYaml -}}
{{- $config := include "stoop.config" . | fromJson -}}
{{- $places := dict "own" .Release.Namespace "captures" (default "" $config.captureNamespace) -}}
{{- $into := dict -}}
{{- $enforced := eq (default dict $config.cluster).enforcesNetworkPolicies true -}}
{{- range (include "stoop.playbooks" . | fromJson).all -}}
{{- include "stoop.grantPlaybook" (dict "playbook" . "ways" $ways "into" $into "places" $places "enforced" $enforced) -}}
{{- end -}}
{{- if eq $config.playbookObjects true -}}
{{- include "stoop.grant" (dict "way" (get $ways "objects") "into" $into) -}}
{{- include "stoop.grant" (dict "way" (get $ways "responses") "into" $into "places" $places) -}}
{{- end -}}
{{- with (default dict $config.killSwitch).configMap -}}
{{- include "stoop.grant" (dict "way" (get $ways "killSwitch") "into" $into "places" $places "name" .) -}}
{{- end -}}
{{- range $config.notifiers -}}
{{- if hasKey . "kubernetesEvents" -}}
{{- include "stoop.grant" (dict "way" (get $ways "notifier/kubernetesEvents") "into" $into) -}}
{{- end -}}
{{- end -}}
{{- toJson $into -}}
{{- end -}}

{{- /* Those of one place, as rules of a Role. */ -}}
{{- define "stoop.rules" -}}
{{- range $key, $verbs := . }}
{{- $parts := splitList "|" $key }}
- apiGroups: [{{ index $parts 0 | quote }}]
  resources: [{{ index $parts 1 | quote }}]
  {{- with index $parts 2 }}
  resourceNames: [{{ . | quote }}]
  {{- end }}
  verbs: {{ toJson $verbs }}
{{- end }}
{{- end -}}
