{{- /* The files of playbooks by their names, as JSON. */ -}}
{{- define "stoop.playbookFiles" -}}
{{- $files := dict -}}
{{- range $name, $playbook := .Values.playbooks -}}
{{- if kindIs "string" $playbook -}}
{{- $_ := set $files (printf "%s.yaml" $name) $playbook -}}
{{- else -}}
{{- $named := dict "apiVersion" "stoop.dev/v1alpha1" "kind" "Playbook" "metadata" (dict "name" $name) -}}
{{- $_ := set $files (printf "%s.yaml" $name) (toYaml (mergeOverwrite $named (deepCopy $playbook))) -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{- /* All playbooks in them, read, as JSON: {all: […]}. */ -}}
{{- define "stoop.playbooks" -}}
{{- $all := list -}}
{{- range $file, $text := include "stoop.playbookFiles" . | fromJson -}}
{{- range regexSplit `(?m)^---([ \t].*)?$` $text -1 -}}
{{- $playbook := fromYaml . -}}
{{- if and (hasKey $playbook "Error") (not (hasKey $playbook "kind")) -}}
{{- fail (printf "playbooks: %s is no YAML: %s" $file (get $playbook "Error")) -}}
{{- end -}}
{{- if $playbook -}}
{{- $all = append $all $playbook -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "all" $all) -}}
{{- end -}}
