/** A finding of cdk-nag that stands, and why. */
export interface Acknowledgement {
  /** Name of the rule without its pack, as cdk-nag prints it: `APIG1`, `IAM5[Resource::*]`. */
  finding: RegExp
  /** Construct paths that it may be found on. */
  path: RegExp
  reason: string
}

const anywhere = /./

/** The one place. test/infra/checks.test.ts fails for an entry that is no longer needed. */
export const ACKNOWLEDGED: Acknowledgement[] = [
  {
    finding: /^APIG2$/,
    path: /\/Api\/Rest\/Resource$/,
    reason:
      'The doors check path, query and body by the full schemas (docs/decisions/003): a problem document answers.',
  },
  {
    finding: /^APIG[16]$/,
    path: /\/Api\/Rest\/DeploymentStage/,
    reason:
      'Logs of API Gateway need one role for the whole account and region, which is not this stack’s to set. Every door logs its requests.',
  },
  {
    finding: /^APIG3$/,
    path: /\/Api\/Rest\/DeploymentStage/,
    reason: 'A web ACL is the account’s choice so far: its 8 KB body rule must count, not block, under /v1.',
  },
  {
    finding: /^COG[28]$/,
    path: /\/Accounts\/People\//,
    reason:
      'Enterprises bring their own OIDC issuer with its own second factor; the built-in pool stays on the plain plan.',
  },
  {
    finding: /^S1$/,
    path: /\/Storage\//,
    reason: 'Who reads which object is recorded by CloudTrail data events of the account’s trail, not by a second log.',
  },
  {
    finding: /^SMG4$/,
    path: /\/OpenLora\/InferenceSecret\//,
    reason: 'The key between infer and its own containers: a new one is a redeploy, which both sides read at start.',
  },
  {
    finding: /^SQS3$/,
    path: /\/(DeadLetters|StreamFailures)\//,
    reason: 'These queues are the dead-letter queues.',
  },
  {
    finding: /^IAM4\[.*AWSLambdaBasicExecutionRole\]$/,
    path: /\/BucketNotificationsHandler/,
    reason: 'The CDK library’s own function behind bucket notifications; its role is not ours to write.',
  },
  {
    finding: /^IAM5\[Resource::arn:.*:log-group:<\w+>:\*\]$/,
    path: /Role\/(DefaultPolicy\/)?Resource$/,
    reason: 'The streams of the function’s own log group: their names are made by Lambda.',
  },
  {
    finding: /^IAM5\[Resource::arn:.*:log-group:\/aws\/sagemaker\/[\w:]*\*\]$/,
    path: /\/(ModelFactory|OpenLora|Attribution)\//,
    reason: 'SageMaker names the log groups and streams of jobs and endpoints.',
  },
  {
    finding: /^IAM5\[Resource::<\w+\.Arn>:\*\]$/,
    path: /\/(SchedulerRole|\w*Flow)\//,
    reason: 'The versions of the one function that the flow or schedule calls: what the CDK library grants by itself.',
  },
  {
    finding: /^IAM5\[Resource::<Storage(Data|Models|Receipts)\w+\.Arn>\/[\w.*/-]+\]$/,
    path: /Role\/(DefaultPolicy\/)?Resource$/,
    reason: 'Objects below one prefix of one bucket; their names are ids that do not exist at deploy time.',
  },
  {
    finding:
      /^IAM5\[Resource::arn:.*:sagemaker:.*:(endpoint|endpoint-config|model|training-job)\/[\w-]*\*(-influence)?\]$/,
    path: /\/(ModelFactory|OpenLora|Attribution)\//,
    reason: 'Endpoints, models and jobs are made at run time, named by the digest of what they serve or train.',
  },
  {
    finding:
      /^IAM5\[Resource::arn:.*:(application-autoscaling:.*:scalable-target\/\*|cloudwatch:.*:alarm:[\w/-]+\*-influence(-wake|\/\*))\]$/,
    path: /\/OpenLora\/(EnsureHosting|RemoveEndpoints|SweepHosting)Role\//,
    reason: 'Scaling of endpoints that are made at run time; targets get their id, and tracking its alarms, from AWS.',
  },
  {
    finding: /^IAM5\[Resource::arn:.*:states:.*:execution:.*\]$/,
    path: /\/Datanets\/Ingestion\/Flow\/DistributedMapPolicy/,
    reason: 'A Distributed Map starts and reads its own child executions.',
  },
  {
    finding: /^IAM5\[Resource::\*\]$/,
    path: anywhere,
    reason:
      'Only metrics, image login, endpoint listing, log delivery and traces, which take no resource: test/infra/stack.test.ts lists the services.',
  },
]
