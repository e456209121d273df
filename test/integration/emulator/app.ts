/** A small stack that touches what the product needs of the embedded AWS: the CDK app of this folder's tests. */
import { join } from 'node:path'
import { App, CfnOutput, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import * as apigateway from 'aws-cdk-lib/aws-apigateway'
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb'
import * as events from 'aws-cdk-lib/aws-events'
import * as targets from 'aws-cdk-lib/aws-events-targets'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as lambda from 'aws-cdk-lib/aws-lambda'
import { NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs'
import * as s3 from 'aws-cdk-lib/aws-s3'
import * as sfn from 'aws-cdk-lib/aws-stepfunctions'

const app = new App()
const stack = new Stack(app, 'EmulatorTest')
const gone = { removalPolicy: RemovalPolicy.DESTROY }
const bucket = new s3.Bucket(stack, 'Bucket', { ...gone, eventBridgeEnabled: true })
const table = new dynamodb.TableV2(stack, 'Table', {
  ...gone,
  partitionKey: { name: 'pk', type: dynamodb.AttributeType.STRING },
})

// The SDK calls require(), which an ES module does not have.
const REQUIRE = "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);"
function house(name: string): NodejsFunction {
  return new NodejsFunction(stack, name, {
    runtime: lambda.Runtime.NODEJS_24_X,
    entry: join(import.meta.dirname, 'functions', `${name.toLowerCase()}.ts`),
    depsLockFilePath: join(import.meta.dirname, '..', '..', '..', 'package-lock.json'),
    timeout: Duration.seconds(30),
    environment: { TABLE: table.tableName, NODE_OPTIONS: '--enable-source-maps' },
    bundling: { format: OutputFormat.ESM, bundleAwsSDK: true, sourceMap: true, banner: REQUIRE },
  })
}
const records = house('Records')
table.grant(records, 'dynamodb:PutItem')
const ungranted = house('Ungranted') // its write must be refused once IAM is on
const stream = house('Stream')
const failing = house('Failing')

function machine(id: string, states: object, ...statements: iam.PolicyStatement[]): sfn.StateMachine {
  const definition = sfn.DefinitionBody.fromString(stack.toJsonString(states))
  const made = new sfn.StateMachine(stack, id, { definitionBody: definition })
  for (const statement of statements) made.addToRolePolicy(statement)
  return made
}
const jobRole = new iam.Role(stack, 'JobRole', { assumedBy: new iam.ServicePrincipal('sagemaker.amazonaws.com') })
bucket.grantReadWrite(jobRole)
const job = {
  'TrainingJobName.$': '$.job',
  AlgorithmSpecification: { TrainingImage: 'registry.example/openledger/echo:1', TrainingInputMode: 'File' },
  RoleArn: jobRole.roleArn,
  'HyperParameters.$': '$.hyperparameters',
  InputDataConfig: [
    {
      ChannelName: 'rows',
      DataSource: {
        S3DataSource: { S3DataType: 'S3Prefix', 'S3Uri.$': '$.rows', S3DataDistributionType: 'FullyReplicated' },
      },
    },
  ],
  OutputDataConfig: { S3OutputPath: `s3://${bucket.bucketName}/out`, CompressionType: 'NONE' },
  ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 5 },
  StoppingCondition: { 'MaxRuntimeInSeconds.$': '$.seconds' },
  EnableNetworkIsolation: true,
}
const train = {
  Type: 'Task',
  Resource: 'arn:aws:states:::sagemaker:createTrainingJob.sync',
  Parameters: job,
  End: true,
}
const training = machine(
  'Training',
  { StartAt: 'Train', States: { Train: train } },
  new iam.PolicyStatement({
    actions: ['sagemaker:CreateTrainingJob', 'sagemaker:DescribeTrainingJob', 'sagemaker:StopTrainingJob'],
    resources: ['*'],
  }),
  new iam.PolicyStatement({
    actions: ['iam:PassRole'],
    resources: [jobRole.roleArn],
    conditions: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
  }),
)
const passless = machine('Passless', { StartAt: 'Train', States: { Train: train } })
const call = {
  Type: 'Task',
  Resource: 'arn:aws:states:::lambda:invoke',
  Parameters: { FunctionName: failing.functionArn, Payload: {} },
  Catch: [{ ErrorEquals: ['RowsRejected'], Next: 'Caught' }],
  End: true,
}
const catching = { StartAt: 'Call', States: { Call: call, Caught: { Type: 'Pass', Result: 'by name', End: true } } }
const names = machine('Names', catching)
failing.grantInvoke(names)

const uploads = machine('Uploads', { StartAt: 'Seen', States: { Seen: { Type: 'Pass', End: true } } })
new events.Rule(stack, 'OnUpload', {
  eventPattern: {
    source: ['aws.s3'],
    detailType: ['Object Created'],
    detail: { bucket: { name: [bucket.bucketName] }, object: { key: [{ prefix: 'quarantine/' }] } },
  },
  targets: [new targets.SfnStateMachine(uploads)],
})

const api = new apigateway.RestApi(stack, 'Api', { endpointTypes: [apigateway.EndpointType.REGIONAL] })
api.root.addResource('records').addMethod('POST', new apigateway.LambdaIntegration(records))
api.root.addResource('ungranted').addMethod('POST', new apigateway.LambdaIntegration(ungranted))
const streamed = new apigateway.LambdaIntegration(stream, {
  responseTransferMode: apigateway.ResponseTransferMode.STREAM,
})
api.root.addResource('stream').addMethod('POST', streamed)

const outputs = {
  ApiId: api.restApiId,
  Bucket: bucket.bucketName,
  Table: table.tableName,
  Training: training.stateMachineArn,
  Passless: passless.stateMachineArn,
  Names: names.stateMachineArn,
  Uploads: uploads.stateMachineArn,
  JobRole: jobRole.roleArn,
}
for (const [key, value] of Object.entries(outputs)) new CfnOutput(stack, `Out${key}`, { value, key })
