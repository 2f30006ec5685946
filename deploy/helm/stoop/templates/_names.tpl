{{- define "stoop.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "stoop.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "stoop.labels" -}}
{{ include "stoop.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "stoop.account" -}}
{{- default (include "stoop.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "stoop.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The ConfigMap that playbooks are in. */ -}}
{{- define "stoop.playbooksMap" -}}
{{- default (printf "%s-playbooks" (include "stoop.fullname" .)) .Values.existingPlaybooks -}}
{{- end -}}

{{- /* The kind that runs the workers: with a journal each has a volume of its own. */ -}}
{{- define "stoop.kind" -}}
{{- ternary "StatefulSet" "Deployment" (include "stoop.journals" . | fromJson | empty | not) -}}
{{- end -}}
