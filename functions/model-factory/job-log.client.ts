import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'

const client = new CloudWatchLogsClient({})
const LOG_GROUP = '/aws/sagemaker/TrainingJobs'

/** METRIC lines of a training job, oldest first, at most 10,000; empty before the job has said anything. */
export const jobMetricLines = async (jobName: string): Promise<string[]> => {
  const lines: string[] = []
  let nextToken: string | undefined
  try {
    do {
      const page = await client.send(
        new FilterLogEventsCommand({
          logGroupName: LOG_GROUP,
          logStreamNamePrefix: `${jobName}/`,
          filterPattern: 'METRIC',
          ...(nextToken ? { nextToken } : {}),
        }),
      )
      // The embedded AWS does not know the prefix: a metric of another job must not slip in.
      const own = (page.events ?? []).filter((event) => event.logStreamName?.startsWith(`${jobName}/`))
      lines.push(...own.map((event) => event.message ?? ''))
      nextToken = page.nextToken
    } while (nextToken && lines.length < 10_000)
  } catch (error) {
    if ((error as Error).name !== 'ResourceNotFoundException') throw error
  }
  return lines
}
