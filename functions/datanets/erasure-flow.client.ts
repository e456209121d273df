import { ExecutionAlreadyExists, SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn'

const client = new SFNClient({})

/** Starts the erasure of what a withdrawal names; the same withdrawal again finds its own execution. */
export const startErasure = async (
  stateMachineArn: string,
  { datanetId, contribution, digest }: { datanetId: string; contribution: string; digest: string },
): Promise<void> => {
  try {
    await client.send(
      new StartExecutionCommand({
        stateMachineArn,
        name: `${contribution}-${digest}`,
        input: JSON.stringify({ datanetId, contributionId: contribution }),
      }),
    )
  } catch (error) {
    if (!(error instanceof ExecutionAlreadyExists)) throw error
  }
}
