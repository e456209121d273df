import { Aws } from 'aws-cdk-lib'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import type { Construct } from 'constructs'
import { scoringPlaces } from '#schema/scoring'
import type { Storage } from './storage.ts'

/** Serving reads bases and adapters, and the secret that it checks; it writes nothing but its logs. */
export const hostingRoleOf = (scope: Construct, storage: Storage, secret: Secret): Role => {
  const role = containerRole(scope, 'HostingRole', 'Execution role of the serving containers', storage)
  role.addToPolicy(new PolicyStatement({ actions: ['secretsmanager:GetSecretValue'], resources: [secret.secretArn] }))
  return role
}

/** Influence reads what it is asked, which holds tokens of transcripts, and writes its answers; serving can do neither. */
export const influenceRoleOf = (scope: Construct, storage: Storage): Role => {
  const { receipts, transcriptsKey } = storage
  const role = containerRole(scope, 'InfluenceRole', 'Execution role of the influence containers', storage)
  const allow = (actions: string[], resources: string[]) =>
    role.addToPolicy(new PolicyStatement({ actions, resources }))
  allow(['s3:GetObject'], [receipts.arnForObjects(`${scoringPlaces.asked}*`)])
  allow(
    ['s3:PutObject'],
    [scoringPlaces.answers, scoringPlaces.failures].map((place) => receipts.arnForObjects(`${place}*`)),
  )
  allow(['kms:Decrypt', 'kms:GenerateDataKey'], [transcriptsKey.keyArn])
  return role
}

const containerRole = (scope: Construct, id: string, description: string, storage: Storage): Role => {
  const role = new Role(scope, id, { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com'), description })
  const allow = (actions: string[], resources: string[], conditions?: Record<string, unknown>) =>
    role.addToPolicy(new PolicyStatement({ actions, resources, ...(conditions ? { conditions } : {}) }))
  allow(['s3:GetObject'], [storage.models.arnForObjects('bases/*'), storage.models.arnForObjects('adapters/*')])
  allow(['s3:ListBucket'], [storage.models.bucketArn], { StringLike: { 's3:prefix': ['bases/*', 'adapters/*'] } })
  allow(
    ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'],
    [`arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:/aws/sagemaker/*`],
  )
  allow(['cloudwatch:PutMetricData'], ['*'], { StringEquals: { 'cloudwatch:namespace': '/aws/sagemaker/Endpoints' } })
  return role
}
