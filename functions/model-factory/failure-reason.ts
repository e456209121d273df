/**
 * The reason a person can act on, out of what Step Functions says of a failed state: for a training job the `Cause` is
 * the job's description, whose FailureReason holds the image's own words (its output/failure).
 */
export const failureReason = (error: { Error?: string | undefined; Cause?: string | undefined }): string => {
  const said = error.Cause ?? error.Error ?? 'unknown'
  try {
    const cause = JSON.parse(said) as Record<string, unknown>
    const reason = cause['FailureReason'] ?? cause['errorMessage'] ?? cause['TrainingJobStatus']
    return String(reason ?? said).slice(0, 1024)
  } catch {
    return said.slice(0, 1024)
  }
}
