module fleetlog.test/behave

go 1.26.0
